package changes_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"github.com/gridos/sharedinfra/internal/changes"
)

var page = flag.String("page", "", "write the comment as a page to this file; `make screenshots` takes its picture")

// style looks as GitHub does, as far as the comment needs it.
const style = `<!doctype html><meta charset="utf-8"><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328; width: 1000px; margin: 24px }
h2 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3em }
table { border-collapse: collapse; margin: 12px 0 } th, td { border: 1px solid #d1d9e0; padding: 5px 12px; text-align: left }
code { background: #eff1f3; border-radius: 6px; padding: .15em .4em; font-size: 85% }
blockquote { margin: 12px 0; padding: 0 14px; border-left: 4px solid #d1242f } blockquote b { color: #d1242f }
summary { color: #59636e }
</style>`

// A reviewer reads from the top: what is refused, what is dangerous, what it costs, what differs in
// the cluster, which resources change. Details are folded.
func TestUnit_TheCommentBeginsWithWhatDecides(t *testing.T) {
	t.Parallel()
	dev := shop(t, checkouts(t))
	dev.Projects[0].Name = "gridos-bootstrap"
	costs := priced(t, "dev", today)
	dev.Projects, dev.Cost, dev.Contract = append(costs.Projects, dev.Projects...), costs.Cost, broken()
	prod := changes.Report{Environment: "prod", Base: dev.Base, Projects: []changes.Project{{Name: "gridos-infra", Same: 96}}}
	var comment bytes.Buffer
	require.NoError(t, changes.WriteMarkdown(&comment, []changes.Report{prod, dev}))
	last := -1
	for _, part := range []string{
		"| **dev** |", "that others read", "[!CAUTION]", "### dev", "| gridos-infra/dev |", "a month", "| in the cluster |",
		"| attention | change | resource |", "### prod", "<details>",
	} {
		at := strings.Index(comment.String()[last+1:], part)
		require.GreaterOrEqual(t, at, 0, "%s is missing, or too early, in\n%s", part, comment.String())
		last += 1 + at
	}
	assert.NotContains(t, comment.String()[:last], "<summary>")
	if *page == "" {
		return
	}
	var body bytes.Buffer
	require.NoError(t, goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe())).
		Convert(comment.Bytes(), &body))
	text := strings.ReplaceAll(body.String(), "[!CAUTION]", "<b>Caution</b><br>")
	require.NoError(t, os.WriteFile(*page, []byte(style+text), 0o600))
}
