package page

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
)

// serve serves the page of an environment with one stack and one resource.
func serve(t *testing.T) *Server {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "docs"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docs", "a.md"), []byte("# A title\n\n<script>alert(1)</script>\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret.md"), []byte("secret"), 0o600))
	s, err := Serve(t.Context(), Options{
		Environment: "dev", Documents: filepath.Join(dir, "docs"), Scenarios: filepath.Join(dir, "scenarios.jsonl"),
		Stacks: func() ([]Stack, error) {
			return []Stack{{Name: "gridos-infra", Operation: "update", Result: "succeeded", Summary: "34 created"}}, nil
		},
		Azure: func() []Kind { return []Kind{{Type: "Microsoft.Network/virtualNetworks", Names: []string{"vnet"}}} },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func ask(t *testing.T, s *Server, method, host, path string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Address()+path, nil)
	require.NoError(t, err)
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}

// A page of another site can make its own name lead to 127.0.0.1, and then reads what it gets
// there.
func TestUnit_ThePageAnswersOnlyThisMachineByName(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for host, code := range map[string]int{
		s.Address(): http.StatusOK, "localhost": http.StatusOK, "LOCALHOST:80": http.StatusOK, "127.0.0.1": http.StatusOK,
		"evil.example": http.StatusMisdirectedRequest, "evil.example:80": http.StatusMisdirectedRequest, "127.0.0.1.evil.example": http.StatusMisdirectedRequest,
		"localhost.evil.example": http.StatusMisdirectedRequest, "127.0.0.2": http.StatusMisdirectedRequest, "[::1]": http.StatusMisdirectedRequest,
		"localhost.": http.StatusMisdirectedRequest,
	} {
		for _, path := range []string{"/", "/page.js", "/docs/a.md"} {
			response, body := ask(t, s, http.MethodGet, host, path)
			assert.Equal(t, code, response.StatusCode, "%s %s", host, path)
			if code != http.StatusOK {
				assert.NotContains(t, body, "GridOS")
			}
		}
	}
}

func TestUnit_ThePageOnlyShows(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		for _, path := range []string{"/", "/events", "/objects/rollouts/gridos", "/nowhere"} {
			response, _ := ask(t, s, method, "localhost", path)
			assert.Equal(t, http.StatusMethodNotAllowed, response.StatusCode, "%s %s", method, path)
		}
	}
	for _, path := range []string{"/", "/page.css", "/page.js", "/docs/a.md", "/nowhere"} {
		response, body := ask(t, s, http.MethodGet, "localhost", path)
		policy := response.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", path)
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"), path)
		assert.NotRegexp(t, `<script>|<style| style=| on[a-z]+=`, body, path)
	}
}

func TestUnit_ThePageShowsDocumentsAndNoOtherFile(t *testing.T) {
	t.Parallel()
	s := serve(t)
	_, body := ask(t, s, http.MethodGet, "localhost", "/docs/a.md")
	assert.Contains(t, body, `<h1 id="a-title">A title</h1>`)
	assert.NotContains(t, body, "alert")
	for _, path := range []string{
		"/docs/none.md", "/docs/..%2fsecret.md", "/docs/%2e%2e/secret.md", "/docs/", "/docs/images/a.png", "/docs/images/..%2fa.md", "/secret.md",
	} {
		response, body := ask(t, s, http.MethodGet, "localhost", path)
		assert.Equal(t, http.StatusNotFound, response.StatusCode, path)
		assert.NotContains(t, body, "secret\n", path)
	}
}

func TestUnit_ThePageShowsTheObjectsThatItsSourceShows(t *testing.T) {
	t.Parallel()
	s := serve(t)
	response, _ := ask(t, s, http.MethodGet, "localhost", "/objects/rollouts/gridos")
	assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, "before Argo CD runs")
	s.mu.Lock()
	s.source = &Source{
		Object: func(_ context.Context, kind, name string) ([]byte, error) {
			if kind != "rollouts" {
				return nil, ErrNoObject
			}
			return []byte("name: " + name + "\nmark: <b>\n"), nil
		},
		Answers: func() []Answers { return nil },
	}
	s.mu.Unlock()
	response, body := ask(t, s, http.MethodGet, "localhost", "/objects/rollouts/gridos")
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Contains(t, body, "name: gridos\nmark: &lt;b&gt;\n")
	response, _ = ask(t, s, http.MethodGet, "localhost", "/objects/secrets/gridos-secrets")
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
}

// stream reads states of the page's stream.
func stream(t *testing.T, s *Server) (next func() Snapshot) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address()+"/events", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { response.Body.Close() })
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return func() (shown Snapshot) {
		for lines.Scan() {
			if text, found := strings.CutPrefix(lines.Text(), "data: "); found {
				require.NoError(t, json.Unmarshal([]byte(text), &shown))
				return shown
			}
		}
		require.Fail(t, "the stream has ended")
		return shown
	}
}

func TestUnit_TheStreamBeginsWithThePresentAndHasEachChange(t *testing.T) {
	t.Parallel()
	s := serve(t)
	next := stream(t, s)
	shown := next()
	assert.Equal(t, "dev", shown.Environment)
	assert.Equal(t, "34 created", shown.Stacks[0].Summary)
	assert.Equal(t, []string{"vnet"}, shown.Azure[0].Names)
	assert.Nil(t, shown.Delivery)
	assert.Empty(t, shown.Releases)
	assert.Nil(t, shown.Scenario)

	s.PushedCommits([]gitserver.PushedCommit{{ID: sourceCommit, Message: "feat: a widget", Files: []string{"src/main.go"}}})
	shown = next()
	require.Len(t, shown.Releases, 1)
	assert.Equal(t, Active, shown.Releases[0].Stages[1].State)
	s.PushedImage("dev-aaaaaaa")
	shown = next()
	assert.Equal(t, Done, shown.Releases[0].Stages[2].State)

	// Who comes later sees the same, and who looks at nothing new is sent nothing.
	assert.Equal(t, shown, stream(t, s)())
}

func TestUnit_AStreamEndsWithThePage(t *testing.T) {
	t.Parallel()
	s, err := Serve(t.Context(), Options{
		Environment: "dev", Stacks: func() ([]Stack, error) { return nil, nil }, Azure: func() []Kind { return []Kind{} },
	})
	require.NoError(t, err)
	stream(t, s)()
	began := time.Now()
	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop())
	assert.Less(t, time.Since(began), 5*time.Second)
}

// Another process writes the log, and begins it again each time that it plays.
func TestUnit_ThePageFollowsTheScenarioThatIsPlayed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "scenarios.jsonl")
	s := scenarios{file: file}
	assert.Nil(t, s.last())
	add := func(text string) {
		log, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		require.NoError(t, err)
		_, err = log.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, log.Close())
	}
	add(`{"time":"2026-11-30T12:00:00Z","scenario":"drift","event":"begin","detail":"it is put back"}` + "\n" + `{"time":"2026-11-30T12:00:01Z","scen`)
	shown := s.last()
	require.NotNil(t, shown)
	assert.Equal(t, "drift", shown.Name)
	assert.Equal(t, "it is put back", shown.Promise)
	assert.Nil(t, shown.Passed)
	add(`ario":"drift","event":"result","detail":{"passed":false,"evidence":"it is not"}}` + "\n")
	shown = s.last()
	require.NotNil(t, shown.Passed)
	assert.False(t, *shown.Passed)
	assert.Equal(t, "it is not", shown.Evidence)
	require.NoError(t, os.WriteFile(file, []byte(`{"scenario":"audit","event":"begin","detail":null}`+"\n"), 0o600))
	assert.Equal(t, "audit", s.last().Name)
}
