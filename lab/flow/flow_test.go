// Package flow_test plays the developer's whole flow as a user does: with the lab's command, in a
// checkout of its own.
package flow_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
	"github.com/gridos/sharedinfra/lab/proofs/alert"
)

// user is a person with a checkout and the lab's command.
type user struct {
	command, checkout string
}

// newUser builds the command, and makes a checkout with the files that the lab reads. At the end it
// takes down every environment that is up in it.
func newUser(t *testing.T) user {
	t.Helper()
	repository, err := filepath.Abs("../..")
	require.NoError(t, err)
	u := user{filepath.Join(t.TempDir(), "lab"), t.TempDir()}
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", u.command, "github.com/gridos/sharedinfra/lab").CombinedOutput()
	require.NoError(t, err, string(output))
	for _, file := range []string{"go.mod", "Pulumi.yaml", "Pulumi.dev.yaml"} {
		text, err := os.ReadFile(filepath.Join(repository, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(u.checkout, file), text, 0o600))
	}
	for _, dir := range []string{"applications", "src", "tools", "infra", "bootstrap", "apps"} {
		require.NoError(t, os.CopyFS(filepath.Join(u.checkout, dir), os.DirFS(filepath.Join(repository, dir))))
	}
	t.Cleanup(func() {
		down := exec.Command(u.command, "down")
		down.Dir = u.checkout
		output, err := down.CombinedOutput()
		assert.NoError(t, err, string(output))
	})
	return u
}

// run runs the lab's command. What it prints is in the test's log.
func (u user) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), u.command, args...)
	command.Dir = u.checkout
	var out, progress bytes.Buffer
	command.Stdout, command.Stderr = &out, &progress
	if err := command.Run(); err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	t.Logf("lab %s\n%s%s", strings.Join(args, " "), progress.String(), out.String())
	return out.String(), progress.String(), command.ProcessState.ExitCode()
}

func (u user) succeeds(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	stdout, _, code := u.run(t, args...)
	require.Zero(t, code, "lab %s", strings.Join(args, " "))
	return stdout
}

// fails runs a command that ends with a code and an error that has a text.
func (u user) fails(t *testing.T, code int, text string, args ...string) {
	t.Helper()
	_, stderr, got := u.run(t, args...)
	assert.Equal(t, code, got)
	assert.Contains(t, stderr, text)
}

// sample is the selection for -short: the line, a release of each outcome, a change in Git other
// than an image, a killed controller, and one intruder.
var sample = []string{
	"infrastructure", "bootstrap", scenario.GoodRelease, "git-revert", "config-abort", "bad-errors", "condemned", "drift", "routing-canary",
	"rollouts-killed", "intruder", "audit",
}

// Every promise of docs/GITOPS_COMPLETE_FLOW.md, in an environment that delivers from Git.
func TestCluster_TheFlowKeepsItsPromises(t *testing.T) {
	for _, program := range []string{"git", "redis-server"} {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") == "" {
			t.Skipf("there is no %s on PATH (%v); install the package of that name", program, err)
		}
	}
	t.Parallel()
	u := newUser(t)
	s := site.Site{Repository: u.checkout, Environment: "dev", Dir: filepath.Join(u.checkout, ".lab", "dev")}
	_, told, code := u.run(t, "up", "--gitops")
	require.Zero(t, code)
	assert.Contains(t, told, "The Application prometheus is left out") // what the lab leaves out it says
	t.Run("everything listens on the loopback interface", func(t *testing.T) { listensOnLoopback(t, s) })
	t.Run("what Argo CD's parts trust each other with is closed to others", func(t *testing.T) { keptToThemselves(t, u, s) })

	all := scenario.All()
	if testing.Short() {
		all = slices.DeleteFunc(all, func(s scenario.Scenario) bool { return !slices.Contains(sample, s.Name) })
		require.Len(t, all, len(sample))
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	out, _, _ := u.run(t, append([]string{"scenarios", "--json"}, names...)...)
	var results []scenario.Result
	require.NoError(t, json.Unmarshal([]byte(out), &results), out)
	require.Len(t, results, len(all))
	for i, result := range results {
		t.Run(result.Scenario, func(t *testing.T) {
			assert.Equal(t, all[i].Name, result.Scenario)
			assert.True(t, result.Passed, "%s: %s", result.Promise, result.Evidence)
		})
	}

	t.Run("each push, sync and analysis is in the log", func(t *testing.T) {
		text, err := os.ReadFile(s.ScenariosFile())
		require.NoError(t, err)
		events := map[string]int{}
		for line := range bytes.Lines(text) {
			var event struct{ Scenario, Event string }
			require.NoError(t, json.Unmarshal(line, &event), string(line))
			events[event.Event]++
		}
		for _, event := range []string{"pushed", "synced", "weight", "analysis", "promoted", "aborted", "killed"} {
			assert.Positive(t, events[event], event)
		}
		assert.Equal(t, len(all), events["result"])
	})
	t.Run("people are told of each release once, and of no secret", func(t *testing.T) { areTold(t, s) })
	t.Run("Prometheus has the metrics that alerts and dashboards use, and evaluates every rule", func(t *testing.T) { isMonitored(t, u) })
	t.Run("alerts fire by their causes, and end without them", func(t *testing.T) { alertsFire(t, s) })
	t.Run("nothing that happened is a change for Pulumi", func(t *testing.T) { u.succeeds(t, "up", "--expect-no-changes") })
	t.Run("no secret is in clear text", func(t *testing.T) { noSecretInClearText(t, u, s) })
	t.Run("status and env tell where everything is", func(t *testing.T) {
		var answer struct {
			GitOps struct {
				Ready      bool
				ArgoCD     string
				Components []struct{ Name string }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(u.succeeds(t, "status", "--json")), &answer))
		assert.True(t, answer.GitOps.Ready)
		assert.Len(t, answer.GitOps.Components, 7)
		assert.Contains(t, u.succeeds(t, "env"), "export ARGOCD_SERVER='"+answer.GitOps.ArgoCD+"'")
	})
	t.Run("drift is told from none and from not knowing", func(t *testing.T) { driftIsTold(t, u, s) })
	t.Run("it is not switched off by halves", func(t *testing.T) { u.fails(t, cli.Failed, "take it down first", "up", "--gitops=no") })
	t.Run("Argo CD deletes the workloads before it goes itself, and no mistake keeps it", func(t *testing.T) {
		wrong := []byte("config:\n  gridos-apps:repositoryUrl: nowhere\n")
		require.NoError(t, os.WriteFile(filepath.Join(u.checkout, "apps", "Pulumi.dev.yaml"), wrong, 0o600))
		u.fails(t, cli.Mistake, "repositoryUrl", "up")
		out := u.succeeds(t, "down")
		assert.Contains(t, out, "The simulated Azure has 0 resources left.")
		assert.NoDirExists(t, s.Dir)
	})
}

// areTold reads what the lab's receiver of notifications has got during the scenarios, each of
// which has looked for its own.
func areTold(t *testing.T, s site.Site) {
	t.Helper()
	var kept struct{ ReceiverToken string }
	text, err := os.ReadFile(filepath.Join(s.GitOpsDir(), "ports.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &kept))
	require.NotEmpty(t, kept.ReceiverToken)
	text, err = os.ReadFile(filepath.Join(s.GitOpsDir(), "notifications.jsonl"))
	require.NoError(t, err)
	assert.NotContains(t, string(text), kept.ReceiverToken)
	events, deployed := map[string]int{}, map[string]int{}
	for line := range bytes.Lines(text) {
		var n gitops.Notification
		require.NoError(t, json.Unmarshal(line, &n), string(line))
		assert.Equal(t, "dev", n.Environment, string(line))
		assert.Regexp(t, "^https://.+/applications/argocd/"+n.Application+"$", n.URL)
		events[n.Event]++
		if n.Event == "deployed" {
			deployed[n.Application+" "+n.Revision]++
		}
	}
	for _, event := range []string{"deployed", "release-aborted", "degraded", "drift-undone"} {
		assert.Positive(t, events[event], event)
	}
	assert.Zero(t, events["sync-running"], "which is for GitHub alone")
	for what, times := range deployed {
		assert.Equal(t, 1, times, "deployed: %s", what)
	}
	// Logs are kept for longer than a secret, and read by more people.
	for _, program := range []string{delivery.Notifications, delivery.Rollouts} {
		log, err := os.ReadFile(filepath.Join(s.GitOpsDir(), "delivery", "logs", program+".log"))
		require.NoError(t, err)
		assert.NotContains(t, string(log), kept.ReceiverToken, program)
	}
}

// isMonitored asks the lab's Prometheus whether it reaches each pod that has its annotations, for
// the metrics of the programs that really run here, and for its rules.
func isMonitored(t *testing.T, u user) {
	t.Helper()
	var answer struct{ GitOps struct{ Prometheus string } }
	require.NoError(t, json.Unmarshal([]byte(u.succeeds(t, "status", "--json")), &answer))
	require.NotEmpty(t, answer.GitOps.Prometheus)
	ask := func(path string, into any) {
		response, err := http.Get(answer.GitOps.Prometheus + path) //nolint:noctx // the test's own
		require.NoError(t, err)
		defer response.Body.Close()
		require.NoError(t, json.NewDecoder(response.Body).Decode(into), path)
	}
	reached := map[string]bool{} // once: a busy machine misses a scrape now and then
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var found struct {
			Data struct {
				ActiveTargets []struct {
					Labels                       map[string]string
					ScrapeURL, Health, LastError string
				}
			}
		}
		ask("/api/v1/targets?state=active", &found)
		programs := map[string]bool{}
		for _, target := range found.Data.ActiveTargets {
			reached[target.ScrapeURL] = reached[target.ScrapeURL] || target.Health == "up"
			assert.True(c, reached[target.ScrapeURL], "%s of %s: %s", target.ScrapeURL, target.Labels["pod"], target.LastError)
			programs[target.Labels["app_kubernetes_io_name"]] = true
		}
		for _, program := range []string{
			"gridos", delivery.ApplicationController, delivery.Server, delivery.RepoServer, delivery.Notifications, delivery.Rollouts,
		} {
			assert.True(c, programs[program], "Prometheus finds no pod of %s", program)
		}
	}, time.Minute, time.Second)
	var served struct{ Data []string }
	ask("/api/v1/label/__name__/values", &served)
	table, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (?:Argo CD|Argo Rollouts|Prometheus) \\|").FindAllSubmatch(table, -1)
	require.GreaterOrEqual(t, len(rows), 10)
	for _, row := range rows {
		if string(row[1]) == "ALERTS" {
			continue // only while an alert is pending or fires, which says nothing of its place in the table
		}
		assert.Contains(t, served.Data, string(row[1]), "docs/metrics.md")
	}
	var evaluated struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	ask("/api/v1/rules", &evaluated)
	rules := 0
	for _, group := range evaluated.Data.Groups {
		for _, rule := range group.Rules {
			rules++
			assert.Equal(t, "ok", rule.Health, "%s: %s", rule.Name, rule.LastError)
		}
	}
	assert.Greater(t, rules, 20)
}

// alertsFire plays a sample of `make alerts`: one alert about a program that hangs, and one about
// Argo CD.
func alertsFire(t *testing.T, s site.Site) {
	t.Helper()
	sample := []string{"TargetIsDown", "SyncStatusUnknown"}
	var output bytes.Buffer
	display := progress.New(&output)
	raised, err := alert.Play(t.Context(), s, display, slices.DeleteFunc(scenario.Provocations(), func(p scenario.Provocation) bool {
		return !slices.Contains(sample, p.Alerts[0])
	}))
	display.Stop()
	t.Log(output.String())
	require.NoError(t, err)
	require.Len(t, raised, len(sample))
	for _, r := range raised {
		if assert.NotNil(t, r.Fired, r.Alert) && assert.NotNil(t, r.Cleared, r.Alert) {
			assert.Greater(t, *r.Fired, 5., "%s fired before it had lasted", r.Alert)
			assert.Positive(t, *r.Cleared, r.Alert)
		}
	}
}

// noSecretInClearText looks for the secret outputs of the stacks in all files that the lab wrote,
// except those for signing in.
func noSecretInClearText(t *testing.T, u user, s site.Site) {
	t.Helper()
	var hidden, shown map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(u.succeeds(t, "outputs", "--json")), &hidden))
	command := exec.CommandContext(t.Context(), u.command, "outputs", "--json", "--show-secrets") // not into the test's log
	command.Dir = u.checkout
	text, err := command.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &shown))
	secrets := map[string]string{}
	for project, outputs := range shown {
		for key, value := range outputs {
			if hidden[project][key] == "[secret]" {
				secrets[project+"."+key] = fmt.Sprint(value)
			}
		}
	}
	require.GreaterOrEqual(t, len(secrets), 2, "the kubeconfig, Argo CD's password")
	// In JSON or in a log the kubeconfig never appears as a whole, so the test looks for its keys.
	config, err := clientcmd.LoadFromFile(s.KubeconfigFile())
	require.NoError(t, err)
	for name, signsIn := range config.AuthInfos {
		require.NotEmpty(t, signsIn.ClientKeyData, name)
		secrets["the key of "+name] = base64.StdEncoding.EncodeToString(signsIn.ClientKeyData)
	}
	files := 0
	require.NoError(t, filepath.WalkDir(s.Dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // the lab deleted it during the walk
		case err != nil:
			return err
		case path == s.ControlPlaneDir(), path == s.TemporaryDir():
			return fs.SkipDir // the cluster itself, which must know how to let its administrator in
		case !entry.Type().IsRegular(), path == s.KubeconfigFile(), filepath.Ext(path) == ".kubeconfig":
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files++
		for what, secret := range secrets {
			assert.NotContains(t, string(content), secret, "%s is in %s", what, path)
		}
		return nil
	}))
	assert.Greater(t, files, 50)
}

// listensOnLoopback checks the addresses on which every process of the lab listens.
func listensOnLoopback(t *testing.T, s site.Site) {
	t.Helper()
	record, running, err := s.Running()
	require.NoError(t, err)
	require.True(t, running)
	processes := descendants(t, record.PID)
	require.Greater(t, len(processes), 10, "the control plane and what delivers from Git")
	listeners := listenersOf(t, processes...)
	for _, l := range listeners {
		assert.True(t, l.at.Addr().IsLoopback(), "process %d listens on %s", l.process, l.at)
	}
	assert.Greater(t, len(listeners), 15)
}

// keptToThemselves checks that another user of the machine can use neither the cache nor the
// repository server of Argo CD.
func keptToThemselves(t *testing.T, u user, s site.Site) {
	t.Helper()
	var answer struct {
		GitOps struct {
			Components []struct {
				Name string
				PID  int
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(u.succeeds(t, "status", "--json")), &answer))
	processes := map[string]int{}
	for _, c := range answer.GitOps.Components {
		processes[c.Name] = c.PID
	}
	cache := listenersOf(t, processes[delivery.Redis])
	require.Len(t, cache, 1)
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", cache[0].at.String())
	require.NoError(t, err)
	defer connection.Close()
	_, err = connection.Write([]byte("KEYS *\r\n"))
	require.NoError(t, err)
	reply, err := bufio.NewReader(connection).ReadString('\n')
	require.NoError(t, err)
	assert.Regexp(t, "^-NOAUTH ", reply, "Argo CD's cache")

	for _, l := range listenersOf(t, processes[delivery.RepoServer]) {
		response, err := http.Get(fmt.Sprintf("http://%s/metrics", l.at)) //nolint:noctx // the test's own
		require.NoError(t, err, "it serves something else than metrics on %s", l.at)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusOK, response.StatusCode)
	}
	info, err := os.Stat(s.GitOpsDir())
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), "the folder with the socket of argocd-repo-server")
}

type listener struct {
	process int
	at      netip.AddrPort
}

// listenersOf returns the TCP addresses on which processes listen.
func listenersOf(t *testing.T, processes ...int) (found []listener) {
	t.Helper()
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Skipf("this system has no /proc/net/tcp to look at (%v)", err)
	}
	inodes := map[string]int{}
	for _, pid := range processes {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		require.NoError(t, err)
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:[") {
				inodes[strings.Trim(target, "socket:[]")] = pid
			}
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile("/proc/net/" + table)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			const listening = "0A"
			if len(fields) < 10 || fields[3] != listening || inodes[fields[9]] == 0 {
				continue
			}
			found = append(found, listener{inodes[fields[9]], addressOf(t, fields[1])})
		}
	}
	return found
}

// addressOf reads an address of /proc/net/tcp: words of four bytes, each in the machine's order,
// little-endian, and a port.
func addressOf(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	digits, port, _ := strings.Cut(text, ":")
	var address []byte
	for word := range slices.Chunk([]byte(digits), 8) {
		for i := 6; i >= 0; i -= 2 {
			b, err := strconv.ParseUint(string(word[i:i+2]), 16, 8)
			require.NoError(t, err)
			address = append(address, byte(b))
		}
	}
	parsed, ok := netip.AddrFromSlice(address)
	require.True(t, ok, text)
	number, err := strconv.ParseUint(port, 16, 16)
	require.NoError(t, err)
	return netip.AddrPortFrom(parsed.Unmap(), uint16(number))
}

// descendants returns a process, the processes that it has started, theirs, and so on.
func descendants(t *testing.T, root int) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	children := map[int][]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may have spaces.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		require.NoError(t, err)
		parent, err := strconv.Atoi(fields[1])
		require.NoError(t, err)
		children[parent] = append(children[parent], pid)
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}
