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

// The forms in which Go sources cite a rule. An id is a letter for its area and a number, or the
// word for an area with one rule.
var citations = []*regexp.Regexp{
	regexp.MustCompile(`\b[Rr]ules? ([A-Z][0-9]+|ACR|Alerts|Budgets|Collection|Logs|Locks|Policies|Schema)\b`), // in prose and in messages
	regexp.MustCompile(`\b(?:id|rule): +"([A-Z][^"]*)"`),                                                       // as a field, two ids with a slash between them
	regexp.MustCompile(`\b([GIKNPV][1-9])\b`),                                                                  // by itself, as in lists and names of tests
}

// TestUnit_EveryRuleIsDocumented: each rule id in a comment or a refusal has its row in
// docs/azure-rules.md, and each row there is still cited.
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

// rows returns the ids in the tables of a document whose first column is called id, and checks that
// each row is complete.
func rows(t *testing.T, text string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for _, row := range tables(text) {
		id, ok := row["id"]
		if !ok {
			continue
		}
		assert.False(t, ids[id], "rule %s has two rows", id)
		ids[id] = true
		assert.Len(t, row, 6, "rule %s: id, what Azure does, enforced, engine tests, basis, source", id)
		for column, cell := range row {
			assert.NotEmpty(t, cell, "rule %s has an empty cell: %s", id, column)
		}
	}
	return ids
}

// tables returns the rows of all tables of a document, each by the titles of its columns.
func tables(text string) []map[string]string {
	var result []map[string]string
	var titles []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			titles = nil
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case titles == nil:
			titles = cells
		case !strings.HasPrefix(cells[0], "---"):
			row := map[string]string{}
			for i, cell := range cells[:min(len(cells), len(titles))] {
				row[titles[i]] = cell
			}
			result = append(result, row)
		}
	}
	return result
}

// engineTest matches the name of an engine test: the rule id, and the statement about it.
var (
	engineTest  = regexp.MustCompile(`(?m)^func TestEngine_([A-Za-z0-9]+)_([A-Za-z0-9]+)\(`)
	quotedWords = regexp.MustCompile("`([^`]+)`")
)

// TestUnit_EveryRuleHasAnEngineTest: the engine tests break each rule of the simulated Azure once,
// and the page names the right tests.
func TestUnit_EveryRuleHasAnEngineTest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "azure-rules.md"))
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, row := range tables(string(text)) {
		cell, ok := row["engine tests"]
		if !ok {
			continue
		}
		// Tables without ids are those of names, and those of Azure's behaviour for all types.
		prefix, enforced := "ARM", true
		if id, ok := row["id"]; ok {
			prefix = id
		} else if _, ok := row["resource"]; ok {
			prefix = "Names"
		}
		if by, ok := row["enforced"]; ok {
			enforced = strings.Contains(by, "simulated Azure")
		}
		names := quotedWords.FindAllStringSubmatch(cell, -1)
		assert.Equal(t, enforced, len(names) > 0, "%s: what the simulated Azure enforces has an engine test, and nothing else has: %v", prefix, row)
		for _, name := range names {
			full := "TestEngine_" + prefix + "_" + name[1]
			assert.False(t, listed[full], "docs/azure-rules.md lists %s twice", full)
			listed[full] = true
		}
	}
	require.NotEmpty(t, listed)

	files, err := filepath.Glob(filepath.Join("enginetest", "*_test.go"))
	require.NoError(t, err)
	written := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range engineTest.FindAllStringSubmatch(string(source), -1) {
			written["TestEngine_"+match[1]+"_"+match[2]] = true
		}
	}
	for name := range listed {
		assert.True(t, written[name], "docs/azure-rules.md lists %s, which is not in lab/internal/azure/enginetest; write it, or correct the page", name)
	}
	for name := range written {
		assert.True(t, listed[name], "docs/azure-rules.md does not list %s; add it to the row of its rule", name)
	}
}

// replacement is an entry of the table of TestEngine_Replacement.
var replacement = regexp.MustCompile(`\breplaces\("[^"]+", "([^"]+)"`)

// TestUnit_EveryReplacementIsDocumented: the page lists every property, other than names, that the
// engine test changes.
func TestUnit_EveryReplacementIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "azure-rules.md"))
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, row := range tables(string(text)) {
		for _, property := range quotedWords.FindAllStringSubmatch(row["replaced for a change of"], -1) {
			documented[property[1]] = true
		}
	}
	source, err := os.ReadFile(filepath.Join("enginetest", "replacement_test.go"))
	require.NoError(t, err)
	changed := map[string]bool{}
	for _, match := range replacement.FindAllStringSubmatch(string(source), -1) {
		property, _, _ := strings.Cut(match[1], ",")
		if top, _, nested := strings.Cut(property, "."); nested && documented[top] {
			property = top
		}
		if name := strings.HasSuffix(property, "Name") && property != "principalName"; !name {
			changed[property] = true
		}
	}
	assert.Equal(t, changed, documented)
}
