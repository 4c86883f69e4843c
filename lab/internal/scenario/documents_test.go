package scenario

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	testFunction  = regexp.MustCompile(`(?m)^func ((?:Test(?:Unit|Engine|Cluster|Service)_|Fuzz)\w+)\(`)
	namedTest     = regexp.MustCompile("`((?:Test|Fuzz)[^`]*)`")
	namedScenario = regexp.MustCompile("`([a-z][a-z-]*)`")
)

// The observations in docs/faults.md and docs/threat-model.md are made again whenever the tests
// run.
func TestUnit_EveryRowNamesItsTest(t *testing.T) {
	t.Parallel()
	const repository = "../../.."
	written, played := testsIn(t, repository), map[string]bool{}
	for _, s := range All() {
		played[s.Name] = true
	}
	for _, document := range []struct {
		file, header string
		rows         int // a new one is counted here
	}{
		{"faults.md", "| fault | what you see | what to do | test |", 19},
		{"threat-model.md", "| who | what they want | by which way | what stops them | test |", 29},
	} {
		t.Run(document.file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(repository, "docs", document.file))
			require.NoError(t, err)
			_, table, found := strings.Cut(string(text), "\n"+document.header+"\n")
			require.True(t, found)
			table, _, _ = strings.Cut(table, "\n\n")
			rows := strings.Split(strings.TrimSpace(table), "\n")[1:]
			assert.Len(t, rows, document.rows)
			for _, line := range rows {
				cells := strings.Split(strings.Trim(line, "|"), "|")
				require.Len(t, cells, strings.Count(document.header, "|")-1, line)
				for _, cell := range cells {
					assert.NotEmpty(t, strings.TrimSpace(cell), line)
				}
				rowNamesItsTest(t, cells[0], cells[len(cells)-1], written, played)
			}
		})
	}
}

func rowNamesItsTest(t *testing.T, row, cell string, written, played map[string]bool) {
	t.Helper()
	tests, scenarios := namedTest.FindAllStringSubmatch(cell, -1), namedScenario.FindAllStringSubmatch(cell, -1)
	assert.NotEmpty(t, len(tests)+len(scenarios), "%s: name a test or a scenario", row)
	for _, name := range tests {
		assert.True(t, written[name[1]], "%s: there is no %s; write it, or correct the document", row, name[1])
	}
	for _, name := range scenarios {
		assert.True(t, played[name[1]], "%s: there is no scenario %s; write it, or correct the document", row, name[1])
	}
}

// testsIn returns the names of all tests of a repository.
func testsIn(t *testing.T, repository string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	require.NoError(t, filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".lab" || entry.Name() == ".git") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, match := range testFunction.FindAllStringSubmatch(string(source), -1) {
			names[match[1]] = true
		}
		return err
	}))
	return names
}
