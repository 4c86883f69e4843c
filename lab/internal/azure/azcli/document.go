package azcli

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// Block is a code block in a document: shell commands, or YAML.
type Block struct {
	// Heading is the nearest heading above the block, Language is sh or yaml, and Script is the
	// block's content.
	Heading, Language, Script string
}

// Document has the commands of a Markdown file.
type Document struct {
	Path   string
	Blocks []Block
	// Text is the whole file, and Spans are the az commands in running text.
	Text  string
	Spans []string
}

// ReadDocument reads a Markdown file.
func ReadDocument(path string) (Document, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return Document{}, err
	}
	d := Document{Path: path, Text: string(source)}
	heading := ""
	parsed := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	err = ast.Walk(parsed, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := node.(type) {
		case *ast.Heading:
			heading = string(n.Lines().Value(source))
		case *ast.FencedCodeBlock:
			if language := string(n.Language(source)); language == "sh" || language == "yaml" {
				d.Blocks = append(d.Blocks, Block{heading, language, string(n.Lines().Value(source))})
			}
		case *ast.CodeSpan:
			if span := spanText(n, source); span == "az" || strings.HasPrefix(span, "az ") {
				d.Spans = append(d.Spans, span)
			}
		}
		return ast.WalkContinue, nil
	})
	return d, err
}

// spanText returns the text of a code span, with its lines joined.
func spanText(n *ast.CodeSpan, source []byte) string {
	var words []string
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if segment, ok := child.(*ast.Text); ok {
			words = append(words, string(segment.Segment.Value(source)))
		}
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

// Section returns the blocks below a heading, up to the next one. The error says that there are
// none.
func (d Document) Section(heading string) ([]Block, error) {
	var blocks []Block
	for _, b := range d.Blocks {
		if b.Heading == heading {
			blocks = append(blocks, b)
		}
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("%s has no code below the heading %q", d.Path, heading)
	}
	return blocks, nil
}

// placeholder matches a text that a reader of a document replaces, such as <subscription of dev>.
var placeholder = regexp.MustCompile(`<[a-z][^>\n]*>`)

// Fill replaces the placeholders of a script. The error names those that have no value.
func Fill(script string, values map[string]string) (string, error) {
	var missing []string
	filled := placeholder.ReplaceAllStringFunc(script, func(p string) string {
		value, ok := values[strings.Trim(p, "<>")]
		if !ok {
			missing = append(missing, p)
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("nothing replaces %s", strings.Join(missing, ", "))
	}
	return filled, nil
}
