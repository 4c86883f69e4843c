package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// Every release is killed while Helm works on it: before the first installation, after it and
// during an upgrade. Each time the next update has to recover, and the last one must find nothing
// to do.
func TestEngine_AKilledReleaseIsTakenOver(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it kills five releases, one after the other")
	}
	dir := checkout(t)
	s, err := site.Open("dev")
	require.NoError(t, err)
	const cd, rollouts = "argocd", "argo-rollouts" // names of releases and of their namespaces

	killAt(t, dir, s, rollouts, "pending-install", "pending-install")
	killAt(t, dir, s, cd, "pending-install", "pending-install")
	// The CLI is stopped while the provider goes on: Helm finishes, and Pulumi cannot record it.
	killAt(t, dir, s, cd, "pending-install", "deployed")
	out, _, err := lab(t, t.Context(), "up")
	require.NoError(t, err)
	assert.Len(t, records(t, s, cd), 1, "what was installed was taken over, not installed beside it: %s", out)
	_, _, err = lab(t, t.Context(), "up", "--expect-no-changes")
	require.NoError(t, err)

	configure(t, projectfile.StackFile(filepath.Join(dir, "bootstrap"), "dev"), map[string]any{
		"gridos-bootstrap:argocdRepoServerReplicas": 3,
		"gridos-bootstrap:argoRolloutsReplicas":     3,
	})
	killAt(t, dir, s, cd, "pending-upgrade", "pending-upgrade")
	_, _, err = lab(t, t.Context(), "up")
	require.NoError(t, err)
	configure(t, projectfile.StackFile(filepath.Join(dir, "bootstrap"), "dev"), map[string]any{
		"gridos-bootstrap:argoRolloutsReplicas": 4,
	})
	killAt(t, dir, s, rollouts, "pending-upgrade", "pending-upgrade")
	_, _, err = lab(t, t.Context(), "up")
	require.NoError(t, err)
	_, _, err = lab(t, t.Context(), "up", "--expect-no-changes")
	require.NoError(t, err)
	for _, release := range []string{cd, rollouts} {
		for _, status := range records(t, s, release) {
			assert.Contains(t, []string{"deployed", "superseded"}, status, release)
		}
	}
}

// killAt runs up, stops the CLI as soon as a new record of the release has the status stop, and
// kills the lab, the CLI and its providers when the record has the status kill.
func killAt(t *testing.T, dir string, s site.Site, release, stop, kill string) {
	t.Helper()
	before := map[string]string{}
	if s.Exists() {
		before = records(t, s, release)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, self, "up")
	command.Dir = dir
	command.Env = append(os.Environ(), asLab+"=1")
	require.NoError(t, command.Start())
	var reached string
	has := func(status string) func() (bool, error) {
		return func() (bool, error) {
			for uid, now := range records(t, s, release) {
				if _, old := before[uid]; !old && now == status {
					reached = uid
					return true, nil
				}
			}
			return false, nil
		}
	}
	work := s.WorkDir(stacks.Bootstrap.Name)
	defer killWorkingIn(t, work) // whatever happens, no stopped process stays
	err = site.WaitFor(ctx, has(stop))
	switch {
	case err == nil && kill == stop:
		signalWorkingIn(t, work, "pulumi-resource-kubernetes", syscall.SIGSTOP) // it would go on until it is its turn to be killed
	case err == nil:
		signalWorkingIn(t, work, "pulumi", syscall.SIGSTOP)
		err = site.WaitFor(ctx, has(kill))
	}
	require.NoError(t, errors.Join(err, command.Process.Kill()), "release %s never was %s, then %s", release, stop, kill)
	require.Error(t, command.Wait())
	killWorkingIn(t, work)
	require.Equal(t, kill, records(t, s, release)[reached], "release %s when it was killed", release)
}

// records returns the statuses of Helm's records of a release, by the UID of the record. It returns
// none if there is no cluster yet.
func records(t *testing.T, s site.Site, release string) map[string]string {
	t.Helper()
	found := map[string]string{}
	if _, err := os.Stat(s.KubeconfigFile()); err != nil {
		return found
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	list, err := clusterOf(t, s).Core.CoreV1().Secrets(release).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm,name=" + release})
	if err != nil {
		t.Logf("the cluster does not answer yet: %v", err)
		return found
	}
	for _, secret := range list.Items {
		found[string(secret.UID)] = secret.Labels["status"]
	}
	return found
}

// signalWorkingIn sends a signal to the processes of that program whose working directory is dir.
func signalWorkingIn(t *testing.T, dir, program string, signal syscall.Signal) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	sent := 0
	for _, link := range links {
		if cwd, err := os.Readlink(link); err != nil || cwd != dir {
			continue // it has ended, belongs to another user, or works elsewhere
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
		if first, _, _ := strings.Cut(string(text), "\x00"); err != nil || filepath.Base(first) != program {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, signal))
		sent++
	}
	require.Positive(t, sent, "no %s works in %s", program, dir)
}
