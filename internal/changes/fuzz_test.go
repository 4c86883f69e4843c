package changes_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extensionast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/rendered"
)

// FuzzReport: a report comes from code that is not reviewed yet. Either the program refuses it, or
// it stays the same when it is written again, and the comment made from it has the shape that the
// program gives it, whatever names and values it has.
func FuzzReport(f *testing.F) {
	for _, text := range []string{
		`{}`, `null`, `{"environment":"dev","projects":[{"name":"gridos-infra","changes":null,"same":3}]}`,
		`{"environment":"prod","base":"main` + "`" + `","projects":[{"name":"a|b","changes":[],"error":"` + "```\\n</details>" + `"}]}`,
		`{"environment":"dev","projects":[{"name":"p","changes":[{"op":"delete","urn":"u","type":"a:b:C","name":"x\\|<img src=x>@all","level":"dangerous",` +
			`"reasons":["[a](http://b) ![c](d)","*e* _f_ ~g~ <b>h</b>"],"component":"c"}]}]}`,
		`{"environment":"test","drift":true,"projects":[{"name":"p","changes":[{"op":"update","urn":"u","type":"T","name":"` + "``" + `","level":"plain",` +
			`"properties":[{"path":"a\r` + "```" + `","old":{"b":[1]},"new":"\u001b[31m","replaces":true}],"follows":true,"dependsOn":["u","::v"]}]}]}`,
		`{"environment":"dev","projects":[{"name":"p","changes":[{"op":"create","urn":"","type":"","name":"","level":"costly","reasons":["",""]}]}]}`,
		`{"environment":"dev","projects":[{"name":"@a #1 https://b.example","changes":[` +
			`{"op":"replace","urn":"u","type":"t","name":"n","level":"dangerous","reasons":["@all","cc &#64;all, \\@all","#12","see GH-12",` +
			`"a/b#12","https://a.example/@all","ftp://a.example","www.a.example","a@b.example",":warning: $x$"]},` +
			`{"op":"update","urn":"v","type":"t","name":"n","level":"plain","follows":true,"dependsOn":["::@all","::http://a.example"]}]}]}`,
		`{"environment":"dev","cost":{"currency":"@all | $","before":{"low":-1e308,"high":1e308},"after":{"low":1,"high":2},"unpriced":["a|b","@c","## d"],` +
			`"prices":-3,"elsewhere":1,"old":2,"oldest":"[x](http://y)","resources":[{"urn":"u","type":"a:b:C|","name":"x\\|<img src=x>@all",` +
			`"after":{"lines":[{"meter":"m","month":{"low":1,"high":2}}]}},{"urn":"","type":"","name":"","before":{"lines":null}}]},` +
			`"projects":[{"name":"p","changes":null,"same":1}]}`,
		`{"environment":"dev","rendered":[{"kind":"release","name":"a|b @all","urn":"u","before":"# x","after":"[a](http://b)","note":"see #12 <b>",` +
			`"objects":[{"op":"delete","apiVersion":"v1|","kind":"K\\|<img src=x>","name":"@all","risk":"dangerous","reasons":["*e* @all"]},` +
			`{"op":"update","apiVersion":"","kind":"","namespace":"` + "```" + `","name":"","risk":"plain","fields":[{"path":"a\r` + "```" + `","old":1,"new":"</details>"}]}]},` +
			`{"kind":"overlay","name":"o","objects":[{"op":"create","kind":"K","name":"n","risk":"risky"}]}],"projects":[{"name":"p","changes":null,"same":1}]}`,
		`{"environment":"dev","support":{"ending":[{"what":"a|b @all","version":"` + "``" + `","ends":"# x","expected":true,"days":-9223372036854775808},` +
			`{"what":"[a](http://b)","version":"<b>","ends":"","days":1}],"unknown":[{"what":"@all","version":"#12"},{"what":"","version":""}],` +
			`"old":-1,"oldest":"> x"},"projects":[{"name":"p","changes":null,"same":1}]}`,
		`{"environment":"dev","projects":[{"name":"p"}],"contract":{"before":1,"after":-2,"added":["@a","","b|c"],"breaks":[` +
			`{"project":"","output":"","what":"","consumers":["",""]},{"project":"@all","output":"` + "``" + `","what":"# is [gone](http://a)",` +
			`"consumers":["a (https://b, @c)","*d*","</details>"],"refused":"> see #12 www.a.example"}]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var report changes.Report
		if json.Unmarshal(content, &report) != nil || report.Validate() != nil {
			return
		}
		written, err := json.Marshal(report)
		require.NoError(t, err)
		var again changes.Report
		require.NoError(t, json.Unmarshal(written, &again))
		require.NoError(t, again.Validate())
		var first, second bytes.Buffer
		require.NoError(t, changes.WriteMarkdown(&first, []changes.Report{report}))
		require.NoError(t, changes.WriteMarkdown(&second, []changes.Report{again}))
		require.Equal(t, first.String(), second.String())
		checkShape(t, first.Bytes(), report)

		var terminal bytes.Buffer
		require.NoError(t, report.WriteText(&terminal, false))
		assert.False(t, strings.ContainsFunc(terminal.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }),
			"a terminal would obey: %q", terminal.String())
	})
}

// obeyed matches texts on which GitHub acts in rendered Markdown outside code: it notifies
// mentioned users, and adds a note to a referenced issue.
var obeyed = regexp.MustCompile(`(?i)@[a-z0-9]|#[0-9]|gh-[0-9]|://|www\.|:[a-z0-9_+-]+:|\$`)

// checkShape parses a comment as GitHub does and checks that only the program has put structure
// into it.
func checkShape(t *testing.T, comment []byte, report changes.Report) {
	t.Helper()
	root := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(comment))
	headings, tables := 0, 0
	var outsideOfCode bytes.Buffer
	require.NoError(t, ast.Walk(root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if node.Type() == ast.TypeBlock {
			outsideOfCode.WriteByte('\n')
		}
		switch node := node.(type) {
		case *ast.CodeSpan:
			outsideOfCode.WriteByte('\n')
			return ast.WalkSkipChildren, nil
		case *ast.Text: // the rendered text: neither a backslash nor an entity hides anything from GitHub
			out := util.UnescapePunctuations(node.Segment.Value(comment))
			outsideOfCode.Write(util.ResolveEntityNames(util.ResolveNumericReferences(out)))
			if node.SoftLineBreak() || node.HardLineBreak() {
				outsideOfCode.WriteByte('\n')
			}
		case *ast.Link, *ast.Image, *ast.AutoLink, *ast.RawHTML, *ast.List, *extensionast.Strikethrough, *extensionast.TaskCheckBox:
			assert.Fail(t, "a text of the report is taken for Markdown", "%s in\n%s", node.Kind(), comment)
		case *ast.Emphasis:
			assert.Contains(t, []string{"dangerous", "outputs", report.Environment}, string(node.Text(comment)), "%s", comment) //nolint:staticcheck // short
		case *ast.Heading:
			headings++
		case *extensionast.Table:
			tables++
		case *extensionast.TableRow:
			cells := 0
			for cell := node.FirstChild(); cell != nil; cell = cell.NextSibling() {
				cells++
			}
			assert.Contains(t, []int{4, 6}, cells)
		case *ast.HTMLBlock:
			for i := range node.Lines().Len() {
				line := node.Lines().At(i)
				assert.Contains(t, []string{
					"<details><summary>Properties, " + report.Environment + "</summary>",
					"<details><summary>Objects in the cluster, " + report.Environment + "</summary>",
					"<details><summary>Graph of what changes, " + report.Environment + "</summary>", "</details>",
				}, strings.TrimSpace(string(line.Value(comment))), "%s", comment)
			}
		}
		return ast.WalkContinue, nil
	}))
	assert.Equal(t, 2, headings, "%s", comment)
	assert.Empty(t, obeyed.FindAllString(outsideOfCode.String(), -1), "GitHub would make something of it: %s", comment)
	expected := 2
	if len(report.All()) > 0 {
		expected = 3
	}
	if report.Cost != nil {
		expected++
	}
	if report.Support != nil && len(report.Support.Ending) > 0 {
		expected++
	}
	if len(report.Rendered) > 0 {
		expected++
	}
	if slices.ContainsFunc(report.Rendered, func(r changes.Rendering) bool {
		return slices.ContainsFunc(r.Objects, func(o rendered.Change) bool { return o.Risk != rendered.Plain })
	}) {
		expected++
	}
	assert.Equal(t, expected, tables, "%s", comment)
	// GitHub splits a row at each | without a backslash before it, and two backslashes stand for
	// one plain backslash.
	for line := range strings.Lines(string(comment)) {
		if strings.HasPrefix(line, "| ") {
			plain := strings.NewReplacer(`\\`, "", `\|`, "").Replace(line)
			assert.Contains(t, []int{5, 7}, strings.Count(plain, "|"), "%s", line)
		}
	}
}
