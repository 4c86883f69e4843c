package gitserver_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
	"github.com/gridos/sharedinfra/lab/internal/delivery/pace"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

const (
	checkout     = "../../../.."
	applications = checkout + "/applications"
	tools        = "../../../../tools"
	devOverlay   = "applications/gridos/overlays/dev"
)

func start(t *testing.T, options gitserver.Options) *gitserver.Server {
	t.Helper()
	server, err := gitserver.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	return server
}

func seeded(t *testing.T, options gitserver.Options) *gitserver.Server {
	t.Helper()
	server := start(t, options)
	_, err := server.Seed(t.Context(), os.DirFS(checkout), pace.Speed{Factor: 1}, "applications")
	require.NoError(t, err)
	return server
}

func workspace(t *testing.T, server *gitserver.Server) *gitserver.Workspace {
	t.Helper()
	clone, err := gitserver.Clone(t.Context(), server.Origin(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, clone.Close()) })
	return clone
}

// change commits a file and pushes the commit.
func change(t *testing.T, clone *gitserver.Workspace, name, content string) string {
	t.Helper()
	require.NoError(t, clone.WriteFile(name, []byte(content)))
	commit, err := clone.Commit(t.Context(), "change "+name)
	require.NoError(t, err)
	require.NoError(t, clone.Push(t.Context()))
	return commit
}

// git runs git outside of the server's own settings, as another user would.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@a.invalid", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@a.invalid",
	}
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

func withPassword(t *testing.T, server *gitserver.Server, user, password string) string {
	t.Helper()
	address, err := url.Parse(server.URL())
	require.NoError(t, err)
	address.User = url.UserPassword(user, password)
	return address.String()
}

func TestUnit_WhoKnowsTheTokenPushesAndEverybodyReads(t *testing.T) {
	t.Parallel()
	server := seeded(t, gitserver.Options{Dir: t.TempDir()})
	clone := t.TempDir()
	said, err := git(t.Context(), clone, "clone", "--quiet", server.URL(), ".")
	require.NoError(t, err, said)
	before, err := git(t.Context(), clone, "rev-parse", "HEAD")
	require.NoError(t, err)
	said, err = git(t.Context(), clone, "commit", "--allow-empty", "--message", "theirs")
	require.NoError(t, err, said)

	for name, address := range map[string]string{
		"no token":      server.URL(),
		"another token": withPassword(t, server, gitserver.User, "guess"),
		"no user":       withPassword(t, server, "", server.Token()),
	} {
		said, err := git(t.Context(), clone, "push", address, "HEAD:main")
		require.Error(t, err, "%s: %s", name, said)
	}
	head, err := server.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before, head, "nobody without the token may change anything")

	// This is more than git sends with a known length.
	require.NoError(t, os.WriteFile(filepath.Join(clone, "large"), noise(3<<20), 0o600))
	said, err = git(t.Context(), clone, "add", "large")
	require.NoError(t, err, said)
	said, err = git(t.Context(), clone, "commit", "--message", "large")
	require.NoError(t, err, said)
	said, err = git(t.Context(), clone, "push", withPassword(t, server, gitserver.User, server.Token()), "HEAD:main")
	require.NoError(t, err, said)
	pushed, err := git(t.Context(), clone, "rev-parse", "HEAD")
	require.NoError(t, err)
	seen, err := git(t.Context(), clone, "ls-remote", server.URL(), "refs/heads/main")
	require.NoError(t, err)
	assert.Equal(t, pushed+"\trefs/heads/main", seen)
}

// noise returns bytes that cannot be compressed.
func noise(n int) []byte {
	result := make([]byte, 0, n)
	for sum := sha256.Sum256(nil); len(result) < n; sum = sha256.Sum256(sum[:]) {
		result = append(result, sum[:]...)
	}
	return result
}

func TestUnit_ScenariosCommitRevertAndTellOfIt(t *testing.T) {
	t.Parallel()
	server := seeded(t, gitserver.Options{Dir: t.TempDir()})
	clone := workspace(t, server)
	kustomization := devOverlay + "/kustomization.yaml"
	shipped, err := clone.ReadFile(kustomization)
	require.NoError(t, err)

	require.NoError(t, clone.Replace(kustomization, "value: debug", "value: info"))
	require.NoError(t, clone.Remove("applications/gridos/base/disruption-budget.yaml"))
	second, err := clone.Commit(t.Context(), "two changes\n\nand why")
	require.NoError(t, err)
	_, err = clone.Commit(t.Context(), "no change")
	require.ErrorContains(t, err, "no change")
	third, err := clone.Revert(t.Context(), second)
	require.NoError(t, err)
	require.NoError(t, clone.Push(t.Context()))

	head, err := server.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, third, head)
	other := workspace(t, server)
	content, err := other.ReadFile(kustomization)
	require.NoError(t, err)
	assert.Equal(t, string(shipped), string(content))
	commits, err := other.Log(t.Context())
	require.NoError(t, err)
	require.Len(t, commits, 3)
	assert.Equal(t, second, commits[1].SHA)
	assert.Equal(t, "two changes", commits[1].Subject)

	change(t, other, "applications/of-another", "somebody\n")
	require.NoError(t, clone.WriteFile("applications/late", nil))
	_, err = clone.Commit(t.Context(), "late")
	require.NoError(t, err)
	require.ErrorContains(t, clone.Push(t.Context()), "rejected", "what others pushed must not be lost")
	require.ErrorContains(t, clone.WriteFile("../outside", nil), "escapes")
	require.ErrorContains(t, clone.Replace(kustomization, "nowhere", ""), "0 times")
}

func TestUnit_ACloneTakesWhatAnotherCheckoutHas(t *testing.T) {
	t.Parallel()
	clone := workspace(t, seeded(t, gitserver.Options{Dir: t.TempDir()}))
	changed, err := clone.Take(t.Context(), os.DirFS(checkout), pace.Speed{Factor: 1}, "applications")
	require.NoError(t, err)
	assert.Empty(t, changed, "the server began with it")

	rollout := "applications/gridos/base/rollout.yaml"
	before, err := clone.ReadFile(rollout)
	require.NoError(t, err)
	require.NoError(t, clone.WriteFile("applications/gone", nil))
	_, err = clone.Commit(t.Context(), "a file that the checkout does not have")
	require.NoError(t, err)
	checkouts := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(checkouts, "applications"), os.DirFS(filepath.Join(checkout, "applications"))))
	require.NoError(t, os.Mkdir(filepath.Join(checkouts, "src"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(checkouts, "src", "run"), []byte("#!/bin/sh\n"), 0o700))
	changed, err = clone.Take(t.Context(), os.DirFS(checkouts), pace.Speed{Factor: .5}, "applications", "src")
	require.NoError(t, err)
	assert.Equal(t, []string{"applications", "src"}, changed)
	after, err := clone.ReadFile(rollout)
	require.NoError(t, err)
	assert.NotEqual(t, string(before), string(after), "its waits are half as long")
	assert.NoFileExists(t, filepath.Join(clone.Dir, "applications", "gone"))
	info, err := os.Stat(filepath.Join(clone.Dir, "src", "run"))
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o100, "what can be run stays so")

	_, err = clone.Take(t.Context(), os.DirFS(t.TempDir()), pace.Speed{Factor: 1}, "applications")
	require.ErrorContains(t, err, "take the files of a checkout: ")
}

func TestCluster_AReleaseIsWrittenAsThePipelineDoes(t *testing.T) {
	t.Parallel()
	paths, err := (&toolchain.Resolver{ToolsDir: tools}).Resolve(t.Context(), toolchain.Kustomize)
	require.NoError(t, err)
	clone := workspace(t, seeded(t, gitserver.Options{Dir: t.TempDir()}))
	image := "gridosacr.azurecr.io/gridos=127.0.0.1:5000/gridos:dev-abc1234"
	require.NoError(t, clone.SetImage(t.Context(), paths[toolchain.Kustomize], devOverlay, image))
	_, err = clone.Commit(t.Context(), "release")
	require.NoError(t, err)
	changed, err := git(t.Context(), clone.Dir, "diff", "--unified=0", "HEAD~", "HEAD", "--", "applications")
	require.NoError(t, err)
	assert.Equal(t, []string{
		"-  newName: devgridosacr.azurecr.io/gridos", "-  newTag: dev-0000000", "+  newName: 127.0.0.1:5000/gridos", "+  newTag: dev-abc1234",
	}, regexp.MustCompile(`(?m)^[-+] .*$`).FindAllString(changed, -1), changed)
	require.Error(t, clone.SetImage(t.Context(), paths[toolchain.Kustomize], "applications/gridos/overlays/none", image))
}

// received has the fields that a receiver of GitHub's webhooks reads.
type received struct {
	header http.Header
	body   []byte
	event  struct {
		Ref, Before, After string
		Commits            []struct {
			ID, Message              string
			Added, Removed, Modified []string
		}
		Repository struct {
			HTMLURL       string `json:"html_url"`
			DefaultBranch string `json:"default_branch"`
		}
	}
}

func TestUnit_APushIsAnnouncedOnceAndSigned(t *testing.T) {
	t.Parallel()
	webhooks, refuse := make(chan received, 10), make(chan bool, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := received{header: r.Header}
		got.body, _ = io.ReadAll(r.Body)
		assert.NoError(t, json.Unmarshal(got.body, &got.event))
		webhooks <- got
		select {
		case <-refuse:
			http.Error(w, "not now", http.StatusServiceUnavailable)
		default:
		}
	}))
	t.Cleanup(receiver.Close)
	delivered := make(chan gitserver.Delivery, 10)
	pushed := make(chan []gitserver.PushedCommit, 10)
	server := seeded(t, gitserver.Options{
		Dir: t.TempDir(), Delivered: func(d gitserver.Delivery) { delivered <- d }, Pushed: func(c []gitserver.PushedCommit) { pushed <- c },
	})
	first, err := server.Head(t.Context())
	require.NoError(t, err)
	clone := workspace(t, server)

	server.SetWebhook(receiver.URL+"/api/webhook", "secret")
	require.NoError(t, clone.Remove("applications/gridos/base/disruption-budget.yaml"))
	second, err := clone.Commit(t.Context(), "remove")
	require.NoError(t, err)
	require.NoError(t, clone.WriteFile("applications/gridos/base/ä ö.yaml", nil))
	require.NoError(t, clone.Replace("applications/gridos/base/rollout.yaml", "revisionHistoryLimit: 5", "revisionHistoryLimit: 6"))
	third := change(t, clone, "applications/new", "new\n")
	require.NoError(t, clone.Push(t.Context())) // it changes nothing

	d := <-delivered
	require.NoError(t, d.Err)
	assert.Equal(t, http.StatusOK, d.Status)
	got := <-webhooks
	assert.Equal(t, d.ID, got.header.Get("X-GitHub-Delivery"))
	assert.Equal(t, "push", got.header.Get("X-GitHub-Event"))
	signature := hmac.New(sha256.New, []byte("secret"))
	signature.Write(got.body)
	assert.Equal(t, "sha256="+hex.EncodeToString(signature.Sum(nil)), got.header.Get("X-Hub-Signature-256"))
	assert.Equal(t, []string{"refs/heads/main", first, third}, []string{got.event.Ref, got.event.Before, got.event.After})
	assert.Equal(t, "main", got.event.Repository.DefaultBranch)
	require.Len(t, got.event.Commits, 2)
	assert.Equal(t, second, got.event.Commits[0].ID)
	assert.Equal(t, []string{"applications/gridos/base/disruption-budget.yaml"}, got.event.Commits[0].Removed)
	assert.Equal(t, "change applications/new", got.event.Commits[1].Message)
	assert.Equal(t, []string{"applications/gridos/base/ä ö.yaml", "applications/new"}, got.event.Commits[1].Added)
	assert.Equal(t, []string{"applications/gridos/base/rollout.yaml"}, got.event.Commits[1].Modified)
	told := <-pushed
	require.Len(t, told, 2)
	assert.Equal(t, gitserver.PushedCommit{ID: second, Message: "remove", Files: []string{"applications/gridos/base/disruption-budget.yaml"}}, told[0])
	assert.Equal(t, third, told[1].ID)
	assert.Len(t, told[1].Files, 3)
	// Argo CD 3.2.11 matches an Application's repoURL this way, util/webhook/webhook.go.
	page, err := url.Parse(got.event.Repository.HTMLURL)
	require.NoError(t, err)
	assert.Regexp(t, `(?i)^((https?|ssh)://)?([\w\.][\w\.-]{0,30}[\w\.\$-]?@)?((alt)?ssh\.)?`+regexp.QuoteMeta(page.Hostname())+
		`(:\d+)?[:/]`+regexp.QuoteMeta(strings.TrimPrefix(page.EscapedPath(), "/"))+`(\.git)?$`, server.URL())

	// No push is announced while announcements are off, nor later; a receiver that refuses is not
	// asked again.
	server.SetWebhook("", "")
	fourth := change(t, clone, "applications/new", "newer\n")
	told = <-pushed
	require.Len(t, told, 1, "the lab is told all the same")
	assert.Equal(t, fourth, told[0].ID)
	server.SetWebhook(receiver.URL, "")
	refuse <- true
	fifth := change(t, clone, "applications/new", "newest\n")
	d = <-delivered
	assert.Equal(t, http.StatusServiceUnavailable, d.Status)
	require.ErrorContains(t, d.Err, "not now")
	got = <-webhooks
	assert.Equal(t, fifth, got.event.After)
	assert.Empty(t, got.header.Get("X-Hub-Signature-256"))
	// Only the branch that the push changed is announced.
	said, err := git(t.Context(), clone.Dir, "push", withPassword(t, server, gitserver.User, server.Token()), "HEAD:refs/heads/other")
	require.NoError(t, err, said)
	got = <-webhooks
	assert.Equal(t, []string{"refs/heads/other", strings.Repeat("0", 40), fifth}, []string{got.event.Ref, got.event.Before, got.event.After})
	assert.Empty(t, got.event.Commits)
	assert.Equal(t, "refs/heads/other", (<-delivered).Ref)
	sixth := change(t, clone, "applications/new", "the end\n")
	assert.Equal(t, sixth, (<-delivered).After)
	assert.Equal(t, sixth, (<-webhooks).event.After)
}

func TestUnit_AServerComesBackWithAllThatItHad(t *testing.T) {
	t.Parallel()
	options := gitserver.Options{Dir: t.TempDir()}
	server := seeded(t, options)
	clone := workspace(t, server)
	pushed := change(t, clone, "applications/new", "new\n")
	require.NoError(t, server.Stop())
	require.NoError(t, server.Stop())
	require.Error(t, clone.Push(t.Context()), "a stopped server takes nothing")

	address, err := url.Parse(server.URL())
	require.NoError(t, err)
	options.Port, err = strconv.Atoi(address.Port())
	require.NoError(t, err)
	again := start(t, options)
	assert.Equal(t, server.URL(), again.URL())
	head, err := again.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, pushed, head)
	_, err = again.Seed(t.Context(), os.DirFS(checkout), pace.Speed{Factor: 1}, "applications")
	require.ErrorContains(t, err, "commits already")
	change(t, clone, "applications/new", "newer\n") // with the same token

	_, err = gitserver.Start(t.Context(), gitserver.Options{Dir: t.TempDir(), Port: options.Port})
	require.ErrorContains(t, err, address.Port())
	for _, file := range []string{"token", "git.log"} {
		info, err := os.Stat(filepath.Join(options.Dir, file))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), file)
	}
}

// A factor changes the waits in the shipped manifests, and nothing else.
func TestUnit_OnlyTheWaitsAreScaled(t *testing.T) {
	t.Parallel()
	waits := regexp.MustCompile(`^gridos/(base|promoted/\w+)/(rollout|analysis-templates)\.yaml$`)
	for speed, want := range map[pace.Speed]map[string]string{
		{Factor: 1.0 / 6, Longest: 12 * time.Second}: {
			"duration 1m": "10s", "duration 2m": "12s", "duration 3m": "12s", "interval 20s": "3s", "interval 5s": "1s",
			"window 1m": "10s", "window 2m": "12s", "window 3m": "12s", "delay 40s": "7s", "delay 0s": "0s", "range 1h": "600s",
		},
		{Factor: 1, Longest: 90 * time.Second}: {
			"duration 1m": "1m", "duration 2m": "90s", "duration 3m": "90s", "interval 20s": "20s", "interval 5s": "5s",
			"window 1m": "1m", "window 2m": "90s", "window 3m": "90s", "delay 40s": "40s", "delay 0s": "0s", "range 1h": "1h",
		},
		{Factor: 1.0 / 6}: {
			"duration 1m": "10s", "duration 2m": "20s", "duration 3m": "30s", "interval 20s": "3s", "interval 5s": "1s",
			"window 1m": "10s", "window 2m": "20s", "window 3m": "30s", "delay 40s": "7s", "delay 0s": "0s", "range 1h": "600s",
		},
		{Factor: 0.01}: {
			"duration 1m": "1s", "duration 2m": "1s", "duration 3m": "2s", "interval 20s": "1s", "interval 5s": "1s",
			"window 1m": "5s", "window 2m": "5s", "window 3m": "5s", "delay 40s": "1s", "delay 0s": "0s", "range 1h": "36s",
		},
		{Factor: 1}: {},
	} {
		server := start(t, gitserver.Options{Dir: t.TempDir()})
		_, err := server.Seed(t.Context(), os.DirFS(checkout), speed, "applications")
		require.NoError(t, err)
		clone := workspace(t, server)
		found := map[string]bool{}
		scaled := func(wait string) string {
			require.Contains(t, want, wait, "the manifests have a wait that the test does not know")
			found[wait] = true
			return want[wait]
		}
		seededFiles := 0
		require.NoError(t, fs.WalkDir(os.DirFS(applications), ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			seededFiles++
			before, err := os.ReadFile(filepath.Join(applications, name))
			require.NoError(t, err)
			after, err := clone.ReadFile("applications/" + name)
			require.NoError(t, err)
			if len(want) == 0 || !waits.MatchString(name) {
				assert.Equal(t, string(before), string(after), "%s: %s", name, speed)
				return nil
			}
			expected := strings.Split(string(before), "\n")
			for i, line := range expected {
				field := regexp.MustCompile(`^\s*(duration|interval|value): "?(\d+[ms])"?$`).FindStringSubmatch(line)
				switch {
				case field != nil && field[1] == "value":
					argument := regexp.MustCompile(`^\s*- name: (\w+)`).FindStringSubmatch(expected[i-1])
					require.NotNil(t, argument, expected[i-1])
					expected[i] = strings.Replace(line, field[2], scaled(argument[1]+" "+field[2]), 1)
				case field != nil:
					expected[i] = strings.Replace(line, field[2], scaled(field[1]+" "+field[2]), 1)
				case strings.Contains(line, "[1h]"):
					expected[i] = strings.Replace(line, "1h", scaled("range 1h"), 1)
				}
			}
			assert.Equal(t, strings.Join(expected, "\n"), string(after), "%s: %s", name, speed)
			return nil
		}))
		assert.Len(t, found, len(want), speed)
		listed, err := git(t.Context(), clone.Dir, "ls-files")
		require.NoError(t, err)
		assert.Len(t, strings.Fields(listed), seededFiles)
		log, err := clone.Log(t.Context())
		require.NoError(t, err)
		assert.Len(t, log, 1)
	}
}

func TestUnit_AWaitThatCannotBeScaledIsAnError(t *testing.T) {
	t.Parallel()
	const good = `
kind: Rollout
spec: {strategy: {canary: {steps: [{setWeight: 10}, {pause: {}}, {pause: &long {duration: "90"}}, {pause: *long}]}}}
---
kind: AnalysisTemplate
spec:
  metrics:
  - provider: {prometheus: {query: 'a[1m] / b[2m]'}}
    interval: 20s
    initialDelay: 1m30s # ä
  - {name: ä, interval: 40s} # [1m]
`
	server := start(t, gitserver.Options{Dir: t.TempDir()})
	seed := func(content, patch string, factor float64) error {
		_, err := server.Seed(t.Context(), fstest.MapFS{
			"applications/a.yaml":             {Data: []byte(content)},
			"applications/kustomization.yaml": {Data: []byte("kind: Kustomization\npatches:\n- patch: |-\n    " + patch + "\n")},
		}, pace.Speed{Factor: factor}, "applications")
		return err
	}
	const harmless = "[{op: replace, path: /spec/args/1/value, value: pass}]"
	for name, test := range map[string]struct {
		content, patch string
		factor         float64
		want           string
	}{
		"factor": {good, harmless, 0, "above 0"},
		"anchor": {strings.Replace(good, "20s", "&wait 20s", 1), harmless, 0.5, "line 9"},
		"no pause": {
			strings.Replace(good, `, {pause: {}}, {pause: &long {duration: "90"}}, {pause: *long}`, "", 1), harmless, 1, "pause.duration",
		},
		"no window":     {strings.Replace(good, "a[1m] / b[2m]", "a / b", 1), harmless, 1, "window"},
		"no duration":   {strings.Replace(good, "40s", "soon", 1), harmless, 1, `"soon"`},
		"no YAML":       {"{", harmless, 1, "a.yaml"},
		"JSON patch":    {good, "[{op: replace, path: /spec/strategy/canary/steps/1/pause/duration, value: 5m}]", 1, "pause/duration"},
		"step by patch": {good, "[{op: add, path: /spec/strategy/canary/steps/-, value: {pause: {duration: 5m}}}]", 1, "steps/-"},
		"query by patch": {
			good, "[{op: replace, path: /spec/metrics/0/provider/prometheus/query, value: 'a[1m]'}]", 1, "query",
		},
		"merge": {good, "{kind: AnalysisTemplate, spec: {metrics: [{interval: 5s}]}}", 1, "inside a Kustomization"},
	} {
		require.ErrorContains(t, seed(test.content, test.patch, test.factor), test.want, name)
	}
	_, err := server.Seed(t.Context(), fstest.MapFS{"applications/link": {Mode: fs.ModeSymlink}}, pace.Speed{Factor: 1}, "applications")
	require.ErrorContains(t, err, "link")
	head, err := server.Head(t.Context())
	require.NoError(t, err)
	require.Empty(t, head, "nothing may be seeded in part")

	require.NoError(t, seed(good, harmless, 0.5))
	scaled, err := workspace(t, server).ReadFile("applications/a.yaml")
	require.NoError(t, err)
	assert.Equal(t, strings.NewReplacer(
		`"90"`, `"45s"`, "a[1m] / b[2m]", "a[30s] / b[60s]", "20s", "10s", "1m30s", "45s", "40s", "20s").Replace(good), string(scaled))
}
