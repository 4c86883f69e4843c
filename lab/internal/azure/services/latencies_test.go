package services

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// figures are a row of docs/azure-latencies.md, in minutes.
type figures struct{ create, delete float64 }

// TestUnit_LatenciesAreTheDocumentedOnes: a figure without a source, or with the source of another
// figure, would make the bench's results worthless.
func TestUnit_LatenciesAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	documented := documentedLatencies(t)
	table := map[string]figures{}
	for kind, d := range latencies {
		table[kind] = figures{d.create.Minutes(), d.delete.Minutes()}
	}
	for kind, kinds := range variants {
		require.Contains(t, latencies, kind, "a variant is one of a type")
		for _, v := range kinds {
			table[kind+" ("+v.name+")"] = figures{v.create.Minutes(), v.delete.Minutes()}
		}
	}
	assert.Equal(t, documented, table, "docs/azure-latencies.md and the table in latencies.go must say the same")
	served := map[string]bool{}
	for _, d := range New(Options{}).Definitions {
		served[d.Kind] = true
		assert.Contains(t, latencies, d.Kind, "a served type needs a row in latencies.go and in docs/azure-latencies.md")
	}
	for kind := range latencies {
		assert.True(t, served[kind], "%s is not served; drop its row from latencies.go and docs/azure-latencies.md", kind)
	}
}

func documentedLatencies(t *testing.T) map[string]figures {
	t.Helper()
	file, err := os.Open("../../../../docs/azure-latencies.md")
	require.NoError(t, err)
	defer file.Close()
	rows := map[string]figures{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "| Microsoft.") {
			continue
		}
		cells := strings.Split(lines.Text(), "|")
		require.Len(t, cells, 6, lines.Text())
		create, err := strconv.ParseFloat(strings.TrimSpace(cells[2]), 64)
		require.NoError(t, err, lines.Text())
		remove, err := strconv.ParseFloat(strings.TrimSpace(cells[3]), 64)
		require.NoError(t, err, lines.Text())
		assert.Greater(t, len(strings.TrimSpace(cells[4])), 20, "a row needs a source: %s", lines.Text())
		kind := strings.TrimSpace(cells[1])
		assert.NotContains(t, rows, kind, "one row a type")
		rows[kind] = figures{create, remove}
	}
	require.NoError(t, lines.Err())
	return rows
}

func TestUnit_AZoneRedundantServerTakesLonger(t *testing.T) {
	t.Parallel()
	in := func(mode string) arm.Document { return arm.Document{"highAvailability": map[string]any{"mode": mode}} }
	assert.Equal(t, latencies[typeServer].create, latency(typeServer, arm.OperationCreate, in("Disabled")))
	assert.Greater(t, latency(typeServer, arm.OperationCreate, in("ZoneRedundant")), latencies[typeServer].create)
	assert.Equal(t, latencies[typeServer].create/2, latency(typeServer, arm.OperationUpdate, nil))
}
