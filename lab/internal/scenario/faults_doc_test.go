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

// notProvoked is what a row of docs/faults.md says in place of a test.
const notProvoked = "not provoked by a test yet"

var (
	testFunction  = regexp.MustCompile(`(?m)^func (Test(?:Unit|Engine|Cluster|Service)_\w+)\(`)
	namedTest     = regexp.MustCompile("`(Test[^`]*)`")
	namedScenario = regexp.MustCompile("scenario `([^`]*)`")
)

// TestUnit_EveryFaultHasATestOrSaysThatItHasNone: what docs/faults.md says was seen, and is seen again whenever the tests run.
func TestUnit_EveryFaultHasATestOrSaysThatItHasNone(t *testing.T) {
	t.Parallel()
	const repository = "../../.."
	text, err := os.ReadFile(filepath.Join(repository, "docs", "faults.md"))
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "\n| fault | what you see | what to do | test |\n")
	require.True(t, found)
	written, played := testsIn(t, repository), map[string]bool{}
	for _, s := range All() {
		played[s.Name] = true
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if strings.HasPrefix(cells[0], "---") {
			continue
		}
		rows++
		require.Len(t, cells, 4, line)
		for _, cell := range cells {
			assert.NotEmpty(t, strings.TrimSpace(cell), line)
		}
		tests, scenarios := namedTest.FindAllStringSubmatch(cells[3], -1), namedScenario.FindAllStringSubmatch(cells[3], -1)
		assert.NotEqual(t, len(tests)+len(scenarios) > 0, strings.TrimSpace(cells[3]) == notProvoked,
			"%s: name a test or a scenario, or say %q", cells[0], notProvoked)
		for _, name := range tests {
			assert.True(t, written[name[1]], "%s: there is no %s; write it, or correct docs/faults.md", cells[0], name[1])
		}
		for _, name := range scenarios {
			assert.True(t, played[name[1]], "%s: there is no scenario %s; write it, or correct docs/faults.md", cells[0], name[1])
		}
	}
	assert.Equal(t, 14, rows, "faults in docs/faults.md; a new one is counted here")
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
