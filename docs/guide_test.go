package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A record of a decision says whether it is in force; one that another has replaced names that one.
// The list has all.
func TestUnit_EveryDecisionHasAStatus(t *testing.T) {
	t.Parallel()
	const folder = "design"
	list, err := os.ReadFile(filepath.Join(folder, "README.md"))
	require.NoError(t, err)
	records, err := filepath.Glob(filepath.Join(folder, "[0-9]*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, records)
	replaced := regexp.MustCompile(`^Replaced by \[\d{4}\]\((\d{4}[a-z-]+\.md)\)\.`)
	for _, record := range records {
		text, err := os.ReadFile(record)
		require.NoError(t, err)
		name := filepath.Base(record)
		title, rest, _ := strings.Cut(string(text), "\n")
		assert.True(t, strings.HasPrefix(title, "# "+name[:4]+": "), "%s begins with its number", name)
		status, found := strings.CutPrefix(rest, "\n**Status.** ")
		require.True(t, found, "%s: the status comes after the title", name)
		if by := replaced.FindStringSubmatch(status); by != nil {
			assert.FileExists(t, filepath.Join(folder, by[1]), name)
		} else {
			assert.True(t, strings.HasPrefix(status, "In force."), "%s: say \"In force.\", or name the record that has replaced it", name)
		}
		assert.Contains(t, string(list), "]("+name+")", "the list of records")
	}
}

// Each row of the table for newcomers leads to files that are there.
func TestUnit_TheTableOfWhereToChangeWhatLeadsThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n| to change | go to | and then |\n|---|---|---|\n")
	require.True(t, found)
	table := regexp.MustCompile(`^(?:\|.*\n)+`).FindString(rest)
	rows := strings.Split(strings.TrimSpace(table), "\n")
	require.GreaterOrEqual(t, len(rows), 20)
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for _, row := range rows {
		cells := strings.Split(row, " | ")
		require.Len(t, cells, 3, row)
		leads := link.FindAllStringSubmatch(cells[1], -1)
		assert.NotEmpty(t, leads, "no link: %s", row)
		for _, to := range leads {
			_, err := os.Stat(filepath.Join(root, filepath.FromSlash(to[1])))
			assert.NoError(t, err, row)
		}
	}
}
