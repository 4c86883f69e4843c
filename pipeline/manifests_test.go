package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout/gittest"
)

// A promotion and an edit of a manifest reach no stack. What they change in the cluster is in a
// report for the guard and for the comment nevertheless.
func TestUnit_AChangeOfManifestsAloneHasAReport(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	t.Chdir(dir)
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b.example"}, args...)...).
			CombinedOutput()
		require.NoError(t, err, string(out))
		return strings.TrimSpace(string(out))
	}
	edit := func(file, old, made string) {
		t.Helper()
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), old)
		require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), old, made, 1)), 0o600))
	}
	report := func(environment string, want int, args ...string) changes.Report {
		t.Helper()
		code, out, said := ran(t, append([]string{"manifests", "-s", environment, "--base", "HEAD^1", "--json"}, args...)...)
		require.Equal(t, want, code, said)
		var r changes.Report
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.NoError(t, r.Validate())
		assert.Equal(t, environment, r.Environment)
		assert.Empty(t, r.Projects)
		return r
	}
	require.NoError(t, os.CopyFS("applications", os.DirFS(filepath.Join(root, "applications"))))
	require.NoError(t, os.WriteFile("Pulumi.yaml", nil, 0o600))
	git("init", "--quiet", "--initial-branch=main")
	git("add", ".")
	git("commit", "--quiet", "-m", "base")
	start := git("rev-parse", "HEAD")
	edit("applications/gridos/base/disruption-budget.yaml", "maxUnavailable: 1\n", "maxUnavailable: 2\n")
	git("commit", "--quiet", "-a", "-m", "more at once")

	dev := report("dev", exitChanges)
	assert.Equal(t, start[:7], dev.Base)
	deafly(t, "manifests", "-s", "dev", "--base", "HEAD^1")
	require.Len(t, dev.Rendered, 1)
	require.Len(t, dev.Rendered[0].Objects, 1)
	assert.Equal(t, "PodDisruptionBudget", dev.Rendered[0].Objects[0].Kind)
	assert.Empty(t, report("prod", 0).Rendered, "prod has its own copy of the base")
	code, out, _ := ran(t, "manifests", "-s", "dev", "--base", "HEAD^1")
	assert.Equal(t, exitChanges, code)
	assert.Contains(t, out, "What the manifests of dev change, compared with ")
	assert.NotContains(t, out, "STACK", "no stack was previewed")

	// Another commit of the base is not part of the change.
	git("checkout", "--quiet", "-b", "other", "HEAD^1")
	edit("applications/gridos/base/disruption-budget.yaml", "maxUnavailable: 1\n", "maxUnavailable: 3\n")
	git("commit", "--quiet", "-a", "-m", "meanwhile")
	git("checkout", "--quiet", "main")
	assert.Equal(t, dev.Rendered, report("dev", exitChanges, "--base", "other").Rendered)

	// A lost definition of a volume asks for a consent, and the guard says for which.
	require.NoError(t, os.WriteFile("applications/gridos/base/photos.yaml", []byte("apiVersion: v1\nkind: PersistentVolumeClaim\n"+
		"metadata: {name: photos}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"), 0o600))
	edit("applications/gridos/base/kustomization.yaml", "resources:\n", "resources:\n- photos.yaml\n")
	git("add", ".")
	git("commit", "--quiet", "-m", "photos")
	edit("applications/gridos/base/kustomization.yaml", "- photos.yaml\n", "")
	git("commit", "--quiet", "-a", "-m", "no photos")
	code, out, _ = ran(t, "manifests", "-s", "dev", "--base", "HEAD^1", "--json")
	require.Equal(t, exitDangerous, code, out)
	require.NoError(t, os.WriteFile("dev.json", []byte(out), 0o600))
	code, out, _ = ran(t, "guard", "dev.json")
	assert.Equal(t, exitDangerous, code)
	assert.Contains(t, out, "allow-dangerous-change:dev-")
	_, out, _ = ran(t, "report", "dev.json")
	assert.Contains(t, out, "The change has nothing that Pulumi reads.")

	edit("applications/gridos/base/kustomization.yaml", "resources:\n", "resources:\n- not-there.yaml\n")
	code, _, said := ran(t, "manifests", "-s", "dev", "--base", "HEAD")
	assert.Equal(t, cli.Failed, code, "what would change is not known")
	assert.Contains(t, said, "not-there.yaml")

	code, _, said = ran(t, "manifests", "-s", "dev")
	assert.Equal(t, cli.Mistake, code)
	assert.Contains(t, said, "say with --base")
	code, _, said = ran(t, "manifests", "-s", "dev", "--base", "no-such")
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, `"no-such" is no branch, tag or commit here`)
	trees, err := exec.CommandContext(t.Context(), "git", "worktree", "list").Output()
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(trees), "\n"), "the other working tree is removed")

	edit("applications/gridos/base/kustomization.yaml", "- not-there.yaml\n", "")
	broken := gittest.Install(t)
	for n := 1; ; n++ {
		if n == 2 { // who commits, which has a default
			continue
		}
		broken.FailAt(n)
		code, _, said := ran(t, "manifests", "-s", "dev", "--base", "HEAD")
		if !broken.Failed() {
			assert.Zero(t, code, said)
			break
		}
		assert.NotZero(t, code, "command %d", n)
		assert.Contains(t, said, gittest.Said, "command %d", n)
	}
}
