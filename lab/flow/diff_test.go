package flow_test

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
	"github.com/gridos/sharedinfra/internal/rendered"
	"github.com/gridos/sharedinfra/internal/versions"
)

// The branch renames a subnet, bumps a chart and adds an Application: in code, in a default and in
// a stack's file.
var branch = []struct{ file, old, made string }{
	{"internal/naming/naming.go", `SubnetEndpoints = "endpoints"`, `SubnetEndpoints = "private"`},
	{"internal/versions/charts.go", `Version: "` + versions.ArgoCD.Version + `"`, `Version: "10.1.2"`},
	{"applications/gridos/base/disruption-budget.yaml", "maxUnavailable: 1\n", "maxUnavailable: 2\n"},
	{
		"apps/Pulumi.dev.yaml", "config:\n",
		"config:\n  gridos-apps:applications: [{name: reports, path: applications/gridos/overlays/dev}]\n",
	},
}

func TestCluster_DiffTellsExactlyWhatABranchChanges(t *testing.T) {
	t.Parallel() // the other tests of this package wait for most of their time
	u := newDeveloper(t)
	for _, change := range branch {
		file := filepath.Join(u.checkout, change.file)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), change.old), "%s: %s", change.file, change.old)
		require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), change.old, change.made, 1)), 0o600))
	}
	u.does(t, "go", "build", "-o", u.command, "./lab")

	stdout, progress, code := u.run(t, "diff", "--base", "main", "--json")
	assert.Equal(t, 4, code, "the exit code of what is dangerous")
	assert.NotContains(t, progress, "as it was made at")
	var report changes.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	assert.Empty(t, report.Errors())
	require.Len(t, report.Projects, 4)
	for _, p := range report.Projects {
		assert.NotZero(t, p.Same, p.Name)
	}
	all := report.All()
	require.Len(t, all, 3, stdout)

	subnet, release, application := all[0], all[1], all[2]
	assert.Equal(t, "azure-native:network/v20240501:Subnet", subnet.Type)
	assert.Equal(t, changes.Replace, subnet.Op)
	assert.Equal(t, changes.Dangerous, subnet.Level)
	assert.Equal(t, []changes.Property{{Path: "subnetName", Old: "endpoints", New: "private", Replaces: true}}, subnet.Properties)

	assert.Equal(t, "kubernetes:helm.sh/v3:Release", release.Type)
	assert.Equal(t, changes.Update, release.Op)
	require.Len(t, release.Properties, 1)
	assert.Equal(t, "version", release.Properties[0].Path)
	assert.Contains(t, release.Properties[0].Old, versions.ArgoCD.Version)
	assert.Contains(t, release.Properties[0].New, "10.1.2")

	assert.Equal(t, "kubernetes:argoproj.io/v1alpha1:Application", application.Type)
	assert.Equal(t, changes.Create, application.Op)
	assert.Equal(t, "reports", application.Name)

	require.Len(t, report.Rendered, 2, stdout)
	assert.Equal(t, release.URN, report.Rendered[0].URN)
	overlay := report.Rendered[1]
	assert.Equal(t, "applications/gridos/overlays/dev", overlay.Name)
	assert.Empty(t, overlay.Note)
	require.Len(t, overlay.Objects, 1)
	assert.Equal(t, "PodDisruptionBudget gridos/gridos", overlay.Objects[0].Title())
	assert.Equal(t, rendered.Risky, overlay.Objects[0].Risk)

	// What the base made is kept: the next report is the same without bringing it up.
	again, progress, code := u.run(t, "diff", "--base", "main", "--json")
	assert.Equal(t, 4, code)
	assert.Regexp(t, `dev of main \([0-9a-f]{7}\): .*as it was made at `, progress)
	var second changes.Report
	require.NoError(t, json.Unmarshal([]byte(again), &second))
	report.Support, second.Support = nil, nil // which count the days until a version ends
	assert.Equal(t, report, second)

	// No process of the diffs is left, and the checkout's own dev was not touched.
	checkouts := filepath.Join(u.checkout, ".lab", "base", "*", "checkout")
	bases, err := filepath.Glob(checkouts)
	require.NoError(t, err)
	require.Len(t, bases, 1)
	left, err := filepath.Glob(filepath.Join(checkouts, ".lab", "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.Contains(t, u.succeeds(t, "status"), "dev is not up")
}

// newDeveloper makes a clone of this repository with the content of the working tree, in one commit
// on main. Its path is always the same, so that the go command finds most packages in its cache.
func newDeveloper(t *testing.T) user {
	t.Helper()
	repository, err := filepath.Abs("../..")
	require.NoError(t, err)
	home := filepath.Join(repository, ".lab", "flow")
	t.Cleanup(func() {
		assert.NoError(t, os.RemoveAll(home))
		_ = os.Remove(filepath.Dir(home)) // unless a lab is up in it
	})
	require.NoError(t, os.RemoveAll(home))
	u := user{filepath.Join(home, "lab"), filepath.Join(home, "checkout")}
	require.NoError(t, os.MkdirAll(u.checkout, 0o700))
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = repository
	files, err := list.Output()
	require.NoError(t, err)
	for file := range strings.SplitSeq(strings.TrimRight(string(files), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(repository, file))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		require.NoError(t, err)
		copied := filepath.Join(u.checkout, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(copied), 0o700))
		require.NoError(t, os.WriteFile(copied, text, 0o600))
	}
	u.does(t, "git", "init", "--quiet", "--initial-branch=main")
	u.does(t, "git", "add", "--all")
	u.does(t, "git", "-c", "user.name=Developer", "-c", "user.email=developer@example.com", "commit", "--quiet", "--message=feat: all of it")
	return u
}

// does runs a command in the checkout.
func (u user) does(t *testing.T, name string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = u.checkout
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), output)
}
