package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/support"
	"github.com/gridos/sharedinfra/pipeline/internal/github/githubtest"
	"github.com/gridos/sharedinfra/pipeline/internal/inventory"
)

// lookOn runs the command on a day, in the checkout that the test has changed to.
func lookOn(t *testing.T, day string, args ...string) (code int, check inventory.Check, said string) {
	t.Helper()
	code, out, said := ran(t, append([]string{"support", "--json", "--on", day}, args...)...)
	require.NoError(t, json.Unmarshal([]byte(out), &check), "%s\n%s", out, said)
	return code, check, said
}

// The checkout's own versions on days that are long past or long to come: the exit code follows
// what is found, on any day.
func TestUnit_SupportEndsWithACodeThatScriptsCanTrust(t *testing.T) {
	t.Chdir("..")
	code, early, _ := lookOn(t, "2020-01-01")
	assert.Zero(t, code)
	assert.Empty(t, early.Findings)
	assert.Greater(t, early.Versions, 30)

	code, late, _ := lookOn(t, "2099-01-01")
	assert.Equal(t, 9, code)
	ended := map[string]bool{}
	for _, f := range late.Findings {
		ended[f.What] = f.State == inventory.Ended
	}
	for _, what := range []string{support.Kubernetes, support.Mesh, support.PostgreSQL, support.Go, support.Runtime} {
		assert.True(t, ended[what], what)
	}
	assert.False(t, ended[support.CLI], "it has no date")
	assert.Positive(t, late.Count(inventory.Unknown), "all sources are old by then")
	assert.Positive(t, late.Count(inventory.Told))
	deafly(t, "support", "--on", "2020-01-01")
	deafly(t, "support", "--on", "2020-01-01", "--json")
}

// A version without a row is not known, which has an exit code and an issue as well.
func TestUnit_AVersionWithoutARowIsNotKnown(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	for _, entry := range entries {
		if entry.Name() != "src" {
			require.NoError(t, os.Symlink(filepath.Join(root, entry.Name()), entry.Name()))
		}
	}
	require.NoError(t, os.Mkdir("src", 0o700))
	require.NoError(t, os.Symlink(filepath.Join(root, "src", "go.mod"), filepath.Join("src", "go.mod")))
	dockerfile := strings.Replace(read(t, filepath.Join(root, "src", "Dockerfile")), "-bookworm ", "-sid ", 1)
	require.NoError(t, os.WriteFile(filepath.Join("src", "Dockerfile"), []byte(dockerfile), 0o600))
	g := githubtest.Start(t)
	t.Setenv("GITHUB_TOKEN", g.Settings.Token)
	t.Setenv("GITHUB_REPOSITORY", g.Settings.Repository)
	t.Setenv("GITHUB_API_URL", g.Settings.APIURL)
	code, check, said := lookOn(t, "2020-01-01", "--issue")
	assert.Equal(t, exitNotKnown, code, said)
	require.Len(t, check.Findings, 1)
	assert.Equal(t, "sid", check.Findings[0].Version)
	assert.Contains(t, said, "The issue: created https://")

	require.NoError(t, os.Remove(filepath.Join("src", "Dockerfile")))
	code, said = runs(t, "support")
	assert.Equal(t, cli.Failed, code, said)
	assert.Contains(t, said, "Dockerfile")
}

func TestUnit_SupportRefusesADayThatIsNone(t *testing.T) {
	t.Parallel()
	code, said := runs(t, "support", "--on", "tomorrow")
	assert.Equal(t, 2, code)
	assert.Contains(t, said, `--on "tomorrow" is no day; write it like 2027-03-31`)
}

// One issue is opened, stays the same while the same is found, and is closed when all is mended.
func TestUnit_SupportKeepsOneIssue(t *testing.T) {
	t.Chdir("..")
	g := githubtest.Start(t)
	t.Setenv("GITHUB_TOKEN", g.Settings.Token)
	t.Setenv("GITHUB_REPOSITORY", g.Settings.Repository)
	t.Setenv("GITHUB_API_URL", g.Settings.APIURL)

	code, _, said := lookOn(t, "2020-01-01", "--issue")
	assert.Zero(t, code)
	assert.Contains(t, said, "The issue: unchanged")
	assert.Empty(t, g.Issues, "nothing to tell, and no issue")

	code, _, said = lookOn(t, "2099-01-01", "--issue")
	assert.Equal(t, 9, code)
	assert.Contains(t, said, "The issue: created https://")
	code, _, said = lookOn(t, "2099-01-02", "--issue")
	assert.Equal(t, 9, code)
	assert.Contains(t, said, "The issue: unchanged")
	require.Len(t, g.Issues, 1)
	assert.Equal(t, "open", g.Issues[0].GetState())
	assert.Contains(t, g.Issues[0].GetTitle(), "out of support")
	assert.Contains(t, g.Issues[0].GetBody(), "| ended | Kubernetes on AKS |")
	assert.Equal(t, "support", g.Issues[0].Labels[0].GetName())

	code, _, said = lookOn(t, "2020-01-01", "--issue")
	assert.Zero(t, code)
	assert.Contains(t, said, "The issue: closed")
	require.Len(t, g.Issues, 1)
	assert.Equal(t, "closed", g.Issues[0].GetState())

	g.FailAt = 1
	code, _, said = lookOn(t, "2099-01-01", "--issue")
	assert.Equal(t, 1, code, "an issue that cannot be kept is an error")
	assert.Contains(t, said, githubtest.Said)
}
