package stacks_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
)

// The table of the document for other teams is made from the struct: each field's key, type and
// comment.
func TestUnit_TheTableOfOutputsIsTheContract(t *testing.T) {
	t.Parallel()
	document := filepath.Join("..", "docs", "CONSUMING_OUTPUTS.md")
	comments := commentsOf(t, "outputs.go")
	var table strings.Builder
	table.WriteString("| output | type | meaning |\n|---|---|---|\n")
	for _, o := range stacks.OutputsOf[stacks.PublishedOutputs]() {
		kind, known := map[reflect.Type]string{
			reflect.TypeFor[string](): "string", reflect.TypeFor[int](): "number", reflect.TypeFor[[]string](): "list of strings",
		}[o.Type]
		require.True(t, known, "%s is a %s; say here how the document calls it", o.Field, o.Type)
		meaning := regexp.MustCompile(`^` + o.Field + ` (?:is|are) (?:the )?(.+)\.$`).FindStringSubmatch(comments[o.Field])
		require.NotNil(t, meaning, "begin the comment of %s by %[1]s is or %[1]s are, and end it with a full stop", o.Field)
		table.WriteString("| `" + o.Key + "` | " + kind + " | " + meaning[1] + " |\n")
	}
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	before, _, found := strings.Cut(string(text), "| output | type | meaning |\n")
	require.True(t, found, "%s has no table of outputs", document)
	rows := regexp.MustCompile(`^(?:\|.*\n)+`).FindString(string(text)[len(before):])
	if *mocks.Update {
		made := before + table.String() + strings.TrimPrefix(string(text)[len(before):], rows)
		require.NoError(t, os.WriteFile(document, []byte(made), 0o644))
		return
	}
	assert.Equal(t, table.String(), rows, "an output or its comment was changed; go test ./stacks -update writes the table")
}

// commentsOf returns the comments of the file's fields, each as one line, by the names of the
// fields.
func commentsOf(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	require.NoError(t, err)
	comments := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && len(field.Names) == 1 {
			comments[field.Names[0].Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
		}
		return true
	})
	return comments
}
