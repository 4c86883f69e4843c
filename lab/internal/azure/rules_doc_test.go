package azure_test

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

// The ways in which Go sources cite a rule. An id is a letter for its area and a number, or the word for an area with one rule.
var citations = []*regexp.Regexp{
	regexp.MustCompile(`\b[Rr]ules? ([A-Z][0-9]+|ACR|Logs)\b`), // in prose and in messages
	regexp.MustCompile(`\b(?:id|rule): +"([A-Z][^"]*)"`),       // as a field, two ids with a slash between them
	regexp.MustCompile(`\b([GIKNPV][1-9])\b`),                  // by itself, as in lists and names of tests
}

// TestUnit_EveryRuleIsDocumented: whoever meets the id of a rule in a comment or in a refusal finds it in docs/azure-rules.md,
// and nothing in there has lost its use.
func TestUnit_EveryRuleIsDocumented(t *testing.T) {
	t.Parallel()
	const repository = "../../.."
	text, err := os.ReadFile(filepath.Join(repository, "docs", "azure-rules.md"))
	require.NoError(t, err)
	documented := rows(t, string(text))
	require.NotEmpty(t, documented)

	cited := citedRules(t, repository)
	for id, files := range cited {
		assert.True(t, documented[id], "docs/azure-rules.md has no row for rule %s; add one, or correct %s", id, strings.Join(files, ", "))
	}
	for id := range documented {
		assert.NotEmpty(t, cited[id], "no Go source cites rule %s; drop its row from docs/azure-rules.md", id)
	}
}

// citedRules returns the files that cite each id.
func citedRules(t *testing.T, repository string) map[string][]string {
	t.Helper()
	cited := map[string][]string{}
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		if entry.IsDir() && (name == "tools" || name == ".lab" || name == ".git") {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		here := map[string]bool{}
		for _, citation := range citations {
			for _, match := range citation.FindAllStringSubmatch(string(text), -1) {
				for id := range strings.SplitSeq(match[1], "/") {
					here[id] = true
				}
			}
		}
		for id := range here {
			cited[id] = append(cited[id], name)
		}
		return nil
	})
	require.NoError(t, err)
	return cited
}

// rows returns the ids in the tables of a document whose first column is called id, and checks that each row is complete.
func rows(t *testing.T, text string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	inTable := false
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		first := strings.TrimSpace(cells[0])
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case first == "id":
			inTable = true
		case inTable && !strings.HasPrefix(first, "---"):
			assert.False(t, ids[first], "rule %s has two rows", first)
			ids[first] = true
			assert.Len(t, cells, 4, "rule %s: id, what Azure does, enforced, source", first)
			for _, cell := range cells {
				assert.NotEmpty(t, strings.TrimSpace(cell), "rule %s has an empty cell", first)
			}
		}
	}
	return ids
}
