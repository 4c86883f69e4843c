// Package readers generates typed readers of the published outputs, in the languages of other
// teams, from the contract. They refuse what stacks.ReadPublic refuses.
package readers

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"unicode"

	"github.com/gridos/sharedinfra/stacks"
	"github.com/gridos/sharedinfra/stacks/contract"
)

//go:generate go test -run TestUnit_TheReadersAreThoseOfTheContract . -update

// Files are the readers, by their names in this folder, each with its template.
func Files() map[string]string {
	return map[string]string{"python/gridos.py": "python.tmpl", "typescript/gridos.ts": "typescript.tmpl"}
}

//go:embed *.tmpl
var templates embed.FS

// output is one row of the table of outputs.
type output struct{ Key, Type, Meaning string }

// Generate returns the text of a template for a contract. The outputs' order and meaning are those
// of the table in the document docs/CONSUMING_OUTPUTS.md.
func Generate(name string, c contract.Contract, document string) ([]byte, error) {
	var outputs []output
	for _, row := range tableRow.FindAllStringSubmatch(document, -1) {
		if declared, there := c.Projects[stacks.Published.Name][row[1]]; there {
			outputs = append(outputs, output{row[1], declared.Type, meaning(row[2])})
		}
	}
	if len(outputs) != len(c.Keys()) {
		return nil, fmt.Errorf("the document tells the meaning of %d outputs, and the contract has %d", len(outputs), len(c.Keys()))
	}
	t, err := template.New(name).Funcs(template.FuncMap{
		"snake": snake, "python": python.name, "pythonValue": pythonValue, "typescript": typescript.name,
	}).ParseFS(templates, name)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = t.Execute(&text, map[string]any{"Version": c.Version, "Outputs": outputs, "Placeholders": stacks.Placeholders()})
	return text.Bytes(), err
}

var (
	tableRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\| (.+) \\|$")
	link     = regexp.MustCompile(`; see \[[^]]*]\([^)]*\)`)
)

// meaning is the cell of a table as a comment has it.
func meaning(cell string) string { return strings.ReplaceAll(link.ReplaceAllString(cell, ""), "`", "") }

// language has the names of the contract's types.
type language map[string]string

var (
	python     = language{"string": "str", "int": "int", "[]string": "list[str]"}
	typescript = language{"string": "string", "int": "number", "[]string": "readonly string[]"}
)

func (l language) name(kind string) (string, error) {
	name, ok := l[kind]
	if !ok {
		return "", fmt.Errorf("there is no name for the type %s; add one", kind)
	}
	return name, nil
}

// snake writes oidcIssuerUrl as oidc_issuer_url.
func snake(key string) string {
	var b strings.Builder
	for _, r := range key {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// pythonValue converts where Python has several types for a value.
func pythonValue(o output) string {
	value := fmt.Sprintf("outputs[%q]", o.Key)
	switch o.Type {
	case "int":
		return "int(" + value + ")"
	case "[]string":
		return "list(" + value + ")"
	default:
		return value
	}
}
