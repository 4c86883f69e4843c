package cost_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cost"
)

var update = flag.Bool("update", false, "write the sums in docs/cost.md again")

// The sums of the defaults in docs/cost.md are those that the book makes, each row with its source.
func TestUnit_TheDocumentHasTheSumsOfTheDefaults(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "docs", "cost.md")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	const heading = "\n| USD a month |"
	written, _, _ := strings.Cut(string(text), heading)
	made := strings.TrimRight(written, "\n") + "\n" + sums(t)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(made), 0o600))
		return
	}
	assert.Equal(t, made, string(text), "if it is meant, go test ./internal/cost -update writes it")
}

// sums are two tables: what each meter costs in each environment, and what one unit of it costs.
func sums(t *testing.T) string {
	t.Helper()
	book, err := cost.Shipped()
	require.NoError(t, err)
	environments := []string{"dev", "test", "prod"}
	months := map[string]map[string]cost.Range{}
	lines := map[string]cost.Line{}
	unpriced := map[string]bool{}
	total := map[string]cost.Range{}
	for _, environment := range environments {
		months[environment] = map[string]cost.Range{}
		for _, estimate := range book.Estimates(registered(t, environment)) {
			for _, line := range estimate.Lines {
				if line.Unpriced {
					unpriced[line.Meter] = true
					continue
				}
				lines[line.Meter] = line
				months[environment][line.Meter] = months[environment][line.Meter].Plus(line.Month)
				total[environment] = total[environment].Plus(line.Month)
			}
		}
	}
	var elsewhere []string
	names := slices.Sorted(maps.Keys(lines))
	for _, name := range names {
		if lines[name].Elsewhere {
			elsewhere = append(elsewhere, "`"+name+"`")
		}
	}
	var out strings.Builder
	out.WriteString("\n| USD a month | dev | test | prod |\n|---|--:|--:|--:|\n")
	row := func(name string, of func(environment string) (cost.Range, bool)) {
		fmt.Fprintf(&out, "| %s |", name)
		for _, environment := range environments {
			if r, ok := of(environment); ok {
				fmt.Fprintf(&out, " %s |", span(r))
			} else {
				out.WriteString(" |")
			}
		}
		out.WriteString("\n")
	}
	for _, name := range names {
		row("`"+name+"`", func(environment string) (cost.Range, bool) { r, ok := months[environment][name]; return r, ok })
	}
	for _, name := range slices.Sorted(maps.Keys(unpriced)) {
		fmt.Fprintf(&out, "| `%s` | not priced | not priced | not priced |\n", name)
	}
	row("**all**", func(environment string) (cost.Range, bool) { return total[environment], true })
	fmt.Fprintf(&out, "\nOf these %d meters %d have the price of another region, because no public, dated one of France Central was found: %s.\n",
		len(names), len(elsewhere), strings.Join(elsewhere, ", "))
	out.WriteString("\n| meter | price in USD | of | on | source |\n|---|--:|---|---|---|\n")
	for _, name := range names {
		line := lines[name]
		fmt.Fprintf(&out, "| `%s` | %g per %s | %s | %s | [%s](%s) |\n", name, line.Price, line.Unit, line.Region, line.AsOf,
			strings.Split(strings.TrimPrefix(line.Source, "https://github.com/"), "/blob/")[0], line.Source)
	}
	return out.String()
}

func span(r cost.Range) string {
	low, high := fmt.Sprintf("%.2f", r.Low), fmt.Sprintf("%.2f", r.High)
	if low == high {
		return low
	}
	return low + " to " + high
}
