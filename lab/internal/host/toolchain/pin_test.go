package toolchain

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// redirected sends the requests for every host to one server on loopback.
type redirected struct{ to string }

func (r redirected) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("X-Asked", request.URL.Host)
	request.URL.Scheme, request.URL.Host = "http", strings.TrimPrefix(r.to, "http://")
	return http.DefaultTransport.RoundTrip(request)
}

func TestUnit_ChecksumsComeFromWhereUpstreamPublishesThem(t *testing.T) {
	old, fresh := "sha256:"+strings.Repeat("0", 64), strings.Repeat("ab", 32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Asked") + r.URL.EscapedPath() {
		case "dl.k8s.io/release/v1.2.3/fake.sha256":
			_, _ = w.Write([]byte(fresh + "\n"))
		case "api.github.com/repos/some/fake/releases/tags/fake%2Fv1.2.3":
			_, _ = w.Write([]byte(`{"assets":[{"name":"other"},{"name":"fake.tar.gz","digest":"sha256:` + fresh + `","size":7},` +
				`{"name":"old.tar.gz","digest":null,"size":7}]}`))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b := newBench(t)
	const head = "# why\ntools:\n  # whence\n  - tool: fake\n    version: "
	b.write(t, filepath.Join(b.ToolsDir, sumsFile), head+`1.2.2
    archives:
      linux/amd64:
        url: https://dl.k8s.io/release/v{version}/fake
        sum: `+old+`
        size: 5
      linux/arm64:
        url: https://github.com/some/fake/releases/download/fake/v{version}/fake.tar.gz
        member: fake
      darwin/amd64:
        url: https://github.com/some/fake/releases/download/fake/v{version}/old.tar.gz
        member: fake
        sum: `+old+`
      darwin/arm64:
        url: https://github.com/some/fake/releases/download/fake/v{version}/none.tar.gz
        member: fake
bundle:
  linux/amd64:
    url: https://github.com/some/fake/releases/download/fake/v1.2.3/fake.tar.gz
`, 0o600)
	from := publisher{client: &http.Client{Transport: redirected{server.URL}}, github: "https://api.github.com"}
	written, err := b.Resolver.pin(t.Context(), from)
	assert.Equal(t, []string{
		"fake 1.2.3 for linux/amd64: sha256:" + fresh, "fake 1.2.3 for linux/arm64: sha256:" + fresh,
		"the bundle for linux/amd64: sha256:" + fresh,
	}, written)
	require.ErrorContains(t, err, `fake 1.2.3 for darwin/amd64: upstream publishes no checksum, but ""`)
	require.ErrorContains(t, err, "fake 1.2.3 for darwin/arm64: the release fake/v1.2.3 of some/fake has no none.tar.gz")
	content, err := os.ReadFile(filepath.Join(b.ToolsDir, sumsFile))
	require.NoError(t, err)
	want := head + `1.2.3
    archives:
      linux/amd64:
        url: https://dl.k8s.io/release/v{version}/fake
        sum: sha256:` + fresh + `
      linux/arm64:
        url: https://github.com/some/fake/releases/download/fake/v{version}/fake.tar.gz
        member: fake
        sum: sha256:` + fresh + `
        size: 7
      darwin/amd64:
        url: https://github.com/some/fake/releases/download/fake/v{version}/old.tar.gz
        member: fake
      darwin/arm64:
        url: https://github.com/some/fake/releases/download/fake/v{version}/none.tar.gz
        member: fake
bundle:
  linux/amd64:
    url: https://github.com/some/fake/releases/download/fake/v1.2.3/fake.tar.gz
    sum: sha256:` + fresh + `
    size: 7
`
	assert.Equal(t, want, string(content), "a checksum of another version does not stay, and comments do")
	// What has a checksum of the pinned version is not asked for again.
	written, err = b.Resolver.pin(t.Context(), from)
	require.Error(t, err)
	assert.Empty(t, written)
}
