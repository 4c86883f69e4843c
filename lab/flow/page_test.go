package flow_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/delivery/page"
	"github.com/gridos/sharedinfra/lab/internal/host/browsertest"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

var update = flag.Bool("update", false, "take the pictures of the lab in docs/images again")

// A person who brings the lab up sees the dashboard with values that go on, and a release on the
// page, stage by stage.
func TestCluster_ThePageShowsAReleaseAndTheDashboardHasLiveValues(t *testing.T) {
	for _, program := range []string{"git", "redis-server"} {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") == "" {
			t.Skipf("there is no %s on PATH (%v); install the package of that name", program, err)
		}
	}
	if testing.Short() {
		t.Skip("skipped: a lab of its own takes three minutes; without -short it is played")
	}
	t.Parallel()
	u := newUser(t)
	up := u.succeeds(t, "up", "--gitops")
	var status struct {
		Page   string
		GitOps struct{ Application, Refused string }
	}
	require.NoError(t, json.Unmarshal([]byte(u.succeeds(t, "status", "--json")), &status))
	require.NotEmpty(t, status.Page)
	assert.Contains(t, up, "Watch it at "+status.Page)
	require.NotEmpty(t, status.GitOps.Application, status.GitOps.Refused)

	t.Run("the dashboard has live values", func(t *testing.T) { hasLiveValues(t, status.GitOps.Application) })

	w := watch(t, status.Page)
	go w.read()
	commit := exec.CommandContext(t.Context(), u.command, "commit")
	commit.Dir = u.checkout
	var said bytes.Buffer
	commit.Stdout, commit.Stderr = &said, &said
	require.NoError(t, commit.Start())
	if *update {
		w.until(t, "half of the requests have gone to the canary for a while", func(shown page.Snapshot) bool {
			return len(shown.Releases) > 0 && slices.ContainsFunc(shown.Releases[0].Steps, func(s page.Step) bool {
				return s.Weight == 50 && s.State == page.Active && time.Since(*s.At) > 15*time.Second
			})
		})
		picture(t, "lab-flow", status.Page, 1040, `document.querySelectorAll(".steps tr").length > 3`)
	}
	require.NoError(t, commit.Wait(), "%s", &said)
	w.until(t, "the release is promoted, and its scenario has ended", func(shown page.Snapshot) bool {
		return len(shown.Releases) > 0 && shown.Releases[0].Outcome == page.Promoted && shown.Scenario != nil && shown.Scenario.Passed != nil
	})
	w.stop()
	t.Run("the page has shown each stage of the release", func(t *testing.T) { hasShownEachStage(t, w) })
	t.Run("the page shows the line", func(t *testing.T) { showsTheLine(t, w.states[len(w.states)-1]) })
	t.Run("the page shows objects and no secret", func(t *testing.T) {
		client, ok, err := gitops.Connect(site.Site{Dir: filepath.Join(u.checkout, ".lab", "dev")}.GitOpsDir())
		require.NoError(t, err)
		require.True(t, ok)
		now, err := client.Status(t.Context())
		require.NoError(t, err)
		token, err := os.ReadFile(filepath.Join(u.checkout, ".lab", "dev", "gitops", "fieldgateway", "token"))
		require.NoError(t, err)
		shown := w.text.String()
		for _, path := range []string{"rollouts/gridos", "virtualservices/gridos", "applications/gridos-dev"} {
			code, body := get(t, status.Page+"objects/"+path)
			assert.Equal(t, http.StatusOK, code, path)
			assert.Contains(t, body, "name: gridos")
			shown += body
		}
		for _, secret := range []string{now.Token, now.RegistryToken, string(token)} {
			require.Greater(t, len(secret), 10)
			assert.NotContains(t, shown, secret)
		}
		for _, path := range []string{"secrets/gridos-secrets", "pods/gridos", "rollouts/none"} {
			code, _ := get(t, status.Page+"objects/"+path)
			assert.Equal(t, http.StatusNotFound, code, path)
		}
	})
	if *update {
		picture(t, "lab-dashboard", status.GitOps.Application+"/#lindenau/oil-temperature/1h", 860,
			`document.querySelectorAll(".station").length >= 9 && document.querySelector("#plot .trace")?.getTotalLength() > 200`)
	}
}

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	response, err := http.Get(url) //nolint:noctx // the test's own
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

// hasLiveValues asks the service for what its dashboard shows: the demo's nine substations, whose
// values get newer.
func hasLiveValues(t *testing.T, application string) {
	t.Helper()
	type latest struct {
		Substations []struct {
			ID     string
			Points []struct {
				Value *float64
				At    *time.Time
				Stale bool
			}
		}
	}
	newest := func() (stations, fresh int, at time.Time) {
		code, body := get(t, application+"/api/v1/substations")
		if code != http.StatusOK {
			return 0, 0, at
		}
		var answer latest
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		for _, s := range answer.Substations {
			for _, p := range s.Points {
				if p.Value != nil && !p.Stale {
					fresh++
				}
				if p.At != nil && p.At.After(at) {
					at = *p.At
				}
			}
		}
		return len(answer.Substations), fresh, at
	}
	var first time.Time
	require.Eventually(t, func() bool {
		stations, fresh, at := newest()
		first = at
		return stations >= 9 && fresh >= 60
	}, 2*time.Minute, time.Second, "nine substations with values")
	require.Eventually(t, func() bool {
		_, _, at := newest()
		return at.After(first)
	}, 30*time.Second, time.Second, "the values get newer")
}

// watcher reads the page's stream, as a browser does.
type watcher struct {
	cancel context.CancelFunc
	lines  *bufio.Scanner

	mu     sync.Mutex
	states []page.Snapshot
	text   strings.Builder
	ended  chan struct{}
}

func watch(t *testing.T, address string) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"events", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { cancel(); response.Body.Close() })
	require.Equal(t, http.StatusOK, response.StatusCode)
	w := &watcher{cancel: cancel, lines: bufio.NewScanner(response.Body), ended: make(chan struct{})}
	w.lines.Buffer(nil, 4<<20)
	return w
}

func (w *watcher) read() {
	defer close(w.ended)
	for w.lines.Scan() {
		text, found := strings.CutPrefix(w.lines.Text(), "data: ")
		var shown page.Snapshot
		if !found || json.Unmarshal([]byte(text), &shown) != nil {
			continue
		}
		w.mu.Lock()
		w.states = append(w.states, shown)
		w.text.WriteString(text)
		w.mu.Unlock()
	}
}

func (w *watcher) until(t *testing.T, what string, wanted func(page.Snapshot) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.states) > 0 && wanted(w.states[len(w.states)-1])
	}, 3*time.Minute, 100*time.Millisecond, what)
}

func (w *watcher) stop() {
	w.cancel()
	<-w.ended
}

func hasShownEachStage(t *testing.T, w *watcher) {
	t.Helper()
	var order []string
	note := func(text string) {
		if !slices.Contains(order, text) {
			order = append(order, text)
		}
	}
	for _, shown := range w.states {
		if len(shown.Releases) == 0 {
			continue
		}
		r := shown.Releases[0]
		for _, stage := range r.Stages {
			if stage.State == page.Active {
				note(stage.Name)
			}
		}
		for _, step := range r.Steps {
			if step.State == page.Active {
				note(fmt.Sprint(step.Weight, " %"))
			}
		}
		if r.Outcome != page.UnderWay {
			note(string(r.Outcome))
		}
	}
	order = slices.DeleteFunc(order, func(what string) bool { return what == "push" }) // it may be over within a moment
	assert.Equal(t, []string{"build", "sync", "canary", "10 %", "25 %", "50 %", "100 %", "promoted"}, order)
	last := w.states[len(w.states)-1]
	require.Len(t, last.Releases, 1, "the two commits of a release are one")
	r := last.Releases[0]
	assert.Regexp(t, "^dev-[0-9a-f]{7}$", r.Tag)
	for _, stage := range r.Stages {
		assert.Equal(t, page.Done, stage.State, stage.Name)
	}
	require.Len(t, r.Steps, 4)
	for _, step := range r.Steps[:3] {
		if assert.NotNil(t, step.Analysis, step.Weight) {
			assert.Equal(t, "Successful", step.Analysis.Phase)
			assert.Len(t, step.Analysis.Metrics, 4)
		}
		assert.Positive(t, step.Requests, step.Weight)
	}
	require.NotNil(t, r.Background)
	assert.Greater(t, r.Requests, uint64(1000))
	assert.Zero(t, r.Failed)
	assert.Equal(t, "good-release", last.Scenario.Name)
	assert.NotEmpty(t, last.Scenario.Promise)
	assert.True(t, *last.Scenario.Passed)
}

func showsTheLine(t *testing.T, shown page.Snapshot) {
	t.Helper()
	require.Len(t, shown.Stacks, len(stacks.Projects()))
	for i, project := range stacks.Projects() {
		assert.Equal(t, project.Name, shown.Stacks[i].Name)
		assert.Equal(t, "update", shown.Stacks[i].Operation)
		assert.Equal(t, "succeeded", shown.Stacks[i].Result)
		assert.False(t, shown.Stacks[i].Running)
	}
	resources := 0
	for _, kind := range shown.Azure {
		resources += len(kind.Names)
	}
	assert.Greater(t, resources, 50)
	require.NotNil(t, shown.Delivery)
	i := slices.IndexFunc(shown.Delivery.Applications, func(a page.Application) bool { return a.Name == "gridos-dev" })
	require.GreaterOrEqual(t, i, 0)
	assert.Equal(t, "Synced", shown.Delivery.Applications[i].Sync)
	assert.Equal(t, "Healthy", shown.Delivery.Rollout.Phase)
	assert.Equal(t, 100, shown.Delivery.Rollout.Stable)
	assert.Empty(t, shown.Refused)
}

// picture takes a picture for the documents.
func picture(t *testing.T, name, address string, height int64, ready string) {
	t.Helper()
	b := browsertest.Open(t, 1280, height, "light")
	b.Do(t, chromedp.Navigate(address))
	b.Until(t, ready)
	content := b.Picture(t)
	assert.Less(t, len(content), 200<<10, name)
	require.NoError(t, os.WriteFile(filepath.Join("..", "..", "docs", "images", name+".png"), content, 0o644))
}
