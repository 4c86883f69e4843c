package regression

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/scenario"
)

const repository = "../../.."

// The texts that the mistakes change are in the files, and the scenarios exist: what is not so is
// found here, and not after half an hour in the lab.
func TestUnit_EachMistakeCanBeMadeAgain(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, r := range All() {
		assert.False(t, names[r.Name], "two regressions are called %s", r.Name)
		names[r.Name] = true
		assert.NotEmpty(t, r.Mistake, r.Name)
		assert.NotEmpty(t, r.Says, r.Name)
		assert.True(t, slices.ContainsFunc(scenario.All(), func(s scenario.Scenario) bool { return s.Name == r.Scenario }), r.Scenario)
		for _, e := range r.edits {
			if e.now == "" {
				assert.NoFileExists(t, filepath.Join(repository, e.file), r.Name)
			}
			assert.Equal(t, r.fromGit(), Regression{edits: []edit{e}}.fromGit(), "%s: Git or programs bring all of it", r.Name)
		}
		changed := overlay{repository: repository, dir: t.TempDir(), Files: map[string]string{}}
		require.NoError(t, r.apply(changed), "%s: the file has changed; adapt the regression", r.Name)
		assert.Len(t, changed.Files, len(r.edits), "%s: one edit of a file", r.Name)
		for name, file := range changed.Files {
			if strings.HasSuffix(name, ".go") {
				_, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
				assert.NoError(t, err, "%s: %s", r.Name, name)
			}
		}
	}
}

// The document has the figures of each of them.
func TestUnit_EachRegressionIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, "docs", "reliability.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Regressions\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, r := range All() {
		assert.Contains(t, section, "\n| `"+r.Name+"` | "+r.Mistake+" | `"+r.Scenario+"` | ")
	}
	assert.Equal(t, len(All()), strings.Count(section, "\n| `"))
}
