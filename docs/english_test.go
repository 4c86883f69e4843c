package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// actorless are words that name no actor, or that mean something else than was meant.
var actorless = regexp.MustCompile(`(?i)\b(nobody|somebody|everybody|whoever|anew|otherwise than)\b`)

// A sentence says who does what: the provider, a reviewer, the test. These words hid it most often.
func TestUnit_SentencesNameTheirActor(t *testing.T) {
	t.Parallel()
	checked := 0
	for path, text := range prose(t) {
		if extension := filepath.Ext(path); extension != ".go" && extension != ".md" || strings.Contains(path, "testdata/") {
			continue
		}
		checked++
		assert.Empty(t, actorless.FindAllString(text, -1), "%s: name who it is, such as the provider, a user, a reviewer", path)
	}
	assert.Greater(t, checked, 300)
}

// misleading are words that users of the lab would read in another sense, or too late.
var misleading = regexp.MustCompile(`(?i)\b(meanwhile|takes away|stops to|tells? (what|why|who|whether))\b`)

// What programs say is held to the same: errors, help and output. A literal that is one of the
// words and nothing else is a name, such as that of a Unix user.
func TestUnit_TextsOfProgramsNameTheirActor(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, path := range tracked(t, "*.go") {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata/") {
			continue
		}
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, filepath.Join(root, path), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			literal, ok := node.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			checked++
			found := actorless.FindAllString(literal.Value, -1)
			if len(found) == 1 && len(literal.Value) == len(found[0])+len(`""`) {
				return true
			}
			if strings.HasPrefix(path, "lab/") {
				found = append(found, misleading.FindAllString(literal.Value, -1)...)
			}
			assert.Empty(t, found, "%s: name who does what, in plain words", positions.Position(literal.Pos()))
			return true
		})
	}
	assert.Greater(t, checked, 5000)
}

// A comment is read beside another file, or in a review's column. A word that is longer, such as an
// address, stays whole. The programs in tools/ are left out: a comment is part of a tool's key, so
// that each machine would build the tool again.
func TestUnit_CommentsHaveAtMost100Columns(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, path := range tracked(t, "*.go") {
		if strings.HasPrefix(path, "tools/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			line = strings.TrimRight(line, "\n")
			comment, is := strings.CutPrefix(strings.TrimLeft(line, "\t"), "// ")
			if !is {
				continue
			}
			checked++
			if strings.ContainsAny(comment, " ") {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), 100, "%s:%d", path, number)
			}
		}
	}
	assert.Greater(t, checked, 5000)
}
