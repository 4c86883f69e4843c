package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v74/github"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/github/githubtest"
)

// A step of a workflow is green when its command ends with 0: no command does so unless it has done
// its work.
func TestUnit_ACommandThatDidNotDoItsWorkFails(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message": "not today"}`, http.StatusForbidden)
	}))
	t.Cleanup(broken.Close)
	t.Setenv("GITHUB_TOKEN", "a token")
	t.Setenv("GITHUB_REPOSITORY", "gridos/sharedinfra")
	t.Setenv("GITHUB_API_URL", broken.URL)
	report := write(t, "dev.json", `{"environment": "dev", "projects": [{"name": "gridos-infra"}]}`)
	t.Chdir(t.TempDir()) // no checkout
	require.NoError(t, os.MkdirAll(filepath.Join(".github", "workflows"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(".github", "workflows", "w.yml"), []byte("on: push\njobs: {}\npermissions: write-all\n"), 0o600))
	image := []string{"--image", "devgridosacr.azurecr.io/gridos", "--tag"}
	for _, test := range []struct {
		code int
		args []string
	}{
		{cli.Failed, []string{"workflows"}},
		{cli.Failed, []string{"comment", "--head-sha", "0123456789abcdef0123456789abcdef01234567", "--head-repository", "gridos/sharedinfra", report}},
		{cli.Failed, []string{"comment", "--head-sha", "0123456", "--head-repository", "gridos/sharedinfra", write(t, "broken.json", "{")}},
		{cli.Failed, []string{"drift-issue", "--expect", "dev", report}},
		{cli.Failed, []string{"drift-issue", "--expect", "dev", write(t, "broken.json", "{")}},
		{cli.Mistake, append([]string{"release", "--environment", "dev"}, append(image, "dev-abc1234")...)},
		{cli.Mistake, append([]string{"release", "--environment", "dev"}, append(image, "prod-abc1234")...)},
		{cli.Mistake, append([]string{"promote", "--check", "--from", "dev", "--to", "test"}, append(image, "test-abc1234")...)},
		{cli.Mistake, append([]string{"promote", "--from", "dev", "--to", "test"}, append(image, "test-abc1234")...)},
		{cli.Mistake, []string{"preview", "-s", "dev"}},
		{cli.Mistake, []string{"preflight", "-s", "dev"}},
	} {
		code, output := runs(t, test.args...)
		assert.Equal(t, test.code, code, "%v: %s", test.args, output)
		assert.NotEmpty(t, output, "%v", test.args)
	}
	_, output := runs(t, append([]string{"release", "--environment", "dev"}, append(image, "prod-abc1234")...)...)
	assert.Contains(t, output, `--tag "prod-abc1234" is no tag of the environment dev`)
}

// A command ends with the exit code of the worst entry in its report.
func TestUnit_AReportEndsWithTheWorstThatItHas(t *testing.T) {
	t.Parallel()
	of := func(projects ...changes.Project) changes.Report {
		return changes.Report{Environment: "dev", Projects: projects}
	}
	all := []changes.Change{{Op: changes.Update, Level: changes.Plain}, {Op: changes.Delete, Level: changes.Dangerous}}
	require.NoError(t, outcome(of(changes.Project{Name: "p", Same: 1})))
	assert.Equal(t, verdict(exitChanges), outcome(of(changes.Project{Name: "p", Changes: all[:1]})))
	assert.Equal(t, verdict(exitDangerous), outcome(of(changes.Project{Name: "p", Changes: all[1:]})))
	assert.Equal(t, verdict(exitDangerous), outcome(of(changes.Project{Name: "p", Changes: all})))
	err := outcome(of(changes.Project{Name: "p", Changes: all}, changes.Project{Name: "q", Error: "no stack"}))
	require.Error(t, err)
	assert.NotErrorAs(t, err, new(verdict))
}

// Each request to GitHub fails in turn: the command fails, and says what GitHub said.
func TestUnit_ACommandThatGitHubRefusesFails(t *testing.T) {
	const sha = "0123456789012345678901234567890123456789"
	report := write(t, "dev.json", `{"environment": "dev", "drift": true, "projects": [{"name": "p", "changes": [
		{"op": "update", "level": "plain", "type": "t:C", "name": "it"}]}]}`)
	for _, test := range []struct {
		requests int
		args     []string
	}{
		{4, []string{"comment", "--head-sha", sha, "--head-repository", githubtest.Repository, report}},
		{2, []string{"drift-issue", "--expect", "dev", report}},
		{1, []string{"consents", "--commit", sha}},
		{1, []string{"guard", "--labels-of", "refs/pull/7/merge", report}},
		{1, []string{"again", "--workflow", "w.yml", "--job", "guard", "--head-sha", sha}},
	} {
		for n := range test.requests + 1 {
			g := githubtest.Start(t)
			t.Setenv("GITHUB_TOKEN", g.Settings.Token)
			t.Setenv("GITHUB_REPOSITORY", g.Settings.Repository)
			t.Setenv("GITHUB_API_URL", g.Settings.APIURL)
			g.Pulls = []*gogithub.PullRequest{githubtest.Pull(7, githubtest.Repository, "feature", sha, "develop")}
			g.OfCommit[sha] = g.Pulls
			g.FailAt = n
			code, output := runs(t, test.args...)
			if n == 0 {
				require.Zero(t, code, "%v: %s", test.args, output)
				deafly(t, test.args...)
				continue
			}
			assert.Equal(t, cli.Failed, code, "%v, request %d: %s", test.args, n, output)
			assert.Contains(t, output, githubtest.Said, "%v, request %d", test.args, n)
		}
	}
}

// deaf is an output that takes so many lines, and then none.
type deaf struct{ lines int }

func (d *deaf) Write(text []byte) (int, error) {
	if d.lines--; d.lines < 0 {
		return 0, errors.New("nothing takes the output")
	}
	return len(text), nil
}

// deafly runs a command whose output nothing takes: the command fails, and says why.
func deafly(t *testing.T, args ...string) {
	t.Helper()
	var said strings.Builder
	assert.Equal(t, cli.Failed, into(t, &deaf{}, &said, args...), "%v: %s", args, said.String())
	assert.Contains(t, said.String(), "nothing takes the output", "%v", args)
}

func TestUnit_AGuardThatCannotSayWhatIsDangerousFails(t *testing.T) {
	t.Parallel()
	dangerous := write(t, "prod.json", `{"environment": "prod", "projects": [{"name": "p", "changes": [
		{"op": "delete", "urn": "u", "level": "dangerous", "reasons": ["r"]}]}]}`)
	for lines := range 2 {
		var said bytes.Buffer
		command := newCommand()
		command.SetOut(&deaf{lines})
		command.SetErr(&said)
		code := run(t.Context(), command, []string{"guard", dangerous})
		assert.NotZero(t, code, lines)
		if lines == 0 {
			assert.Equal(t, cli.Failed, code)
			assert.Contains(t, said.String(), "nothing takes the output")
		}
	}
	breaks := write(t, "dev.json", `{"environment": "dev", "projects": [{"name": "p"}], "contract": {"before": 1, "after": 1, "breaks": [
		{"project": "gridos", "output": "databaseHost", "what": "is gone", "refused": "keep it"}]}}`)
	deafly(t, "guard", breaks)
	plain := write(t, "dev.json", `{"environment": "dev", "projects": [{"name": "p"}]}`)
	deafly(t, "guard", plain)
	deafly(t, "report", plain)
	deafly(t, "report", "--whole", plain)
}

// Scripts rely on the exit codes, and their authors read them here.
func TestUnit_TheHelpTellsTheExitCodes(t *testing.T) {
	t.Parallel()
	for command, all := range map[string][]string{
		"guard":           {"Fails with exit code 4 when", "the exit code is 8 then"},
		"deploy":          {"ends with exit code 7 if"},
		"preflight":       {"0 all is good; 6 something stands in the way; 5 nothing stands in the way"},
		"vulnerabilities": {"its exit code is 5, so"},
		"support": {
			"0 all are supported, though some may end soon; 9 one is out of support; 5 none is", "Warns 90 days before", "more than 180 days ago",
		},
	} {
		_, help := runs(t, command, "--help")
		for _, says := range all {
			assert.Contains(t, strings.Join(strings.Fields(help), " "), says, command)
		}
	}
	code, out, _ := ran(t, "__complete", "smoke", "")
	assert.Zero(t, code)
	assert.Equal(t, fmt.Sprintf(":%d\n", cobra.ShellCompDirectiveNoFileComp), out, "no argument of a command is a file of the shell's choice")
}

func TestUnit_AnImageIsNamedInFull(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	digest := "sha256:" + strings.Repeat("0a", 32)
	release := func(more ...string) (int, string) {
		return runs(t, append([]string{"release", "--environment", "dev", "--tag", "dev-abc1234"}, more...)...)
	}
	for says, args := range map[string][]string{
		`--digest "sha256:0" is no digest`:   {"--image", "devgridosacr.azurecr.io/gridos", "--digest", "sha256:0"},
		`--image "gridos" is no image`:       {"--image", "gridos", "--digest", digest},
		"is in no Git repository":            {"--image", "devgridosacr.azurecr.io/gridos", "--digest", digest},
		`is in no Git repository; change in`: {"--image", "devgridosacr.azurecr.io/gridos"},
	} {
		code, said := release(args...)
		assert.Equal(t, cli.Mistake, code, said)
		assert.Contains(t, said, says)
		assert.Equal(t, strings.HasPrefix(says, "--digest"), strings.Contains(said, "is no digest"), said)
	}
	output, err := exec.CommandContext(t.Context(), "git", "init", "--quiet").CombinedOutput()
	require.NoError(t, err, string(output))
	image := []string{"--image", "testgridosacr.azurecr.io/gridos", "--tag", "test-abc1234"}
	code, said := runs(t, append([]string{"promote", "--check", "--to", "test"}, image...)...)
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, `the checkout has no remote "origin"`)
	code, said = release("--image", "devgridosacr.azurecr.io/gridos", "--digest", digest)
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, `"origin"`)
	g := githubtest.Start(t)
	t.Setenv("GITHUB_TOKEN", g.Settings.Token)
	t.Setenv("GITHUB_REPOSITORY", g.Settings.Repository)
	t.Setenv("GITHUB_API_URL", g.Settings.APIURL)
	code, said = runs(t, append([]string{"promote", "--to", "test"}, image...)...)
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, `the checkout has no remote "origin"`)

	for _, args := range [][]string{{"pull", "--to", "image"}, {"push", "--from", "image"}} {
		code, said = runs(t, append([]string{"image", args[0], "--ref", "gridos"}, args[1:]...)...)
		assert.Equal(t, cli.Mistake, code, said)
		assert.Contains(t, said, `--ref "gridos" names no image; name one such as `)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(gone.Close)
	code, said = runs(t, "image", "pull", "--ref", strings.TrimPrefix(gone.URL, "http://")+"/gridos:dev-abc1234", "--to", filepath.Join(dir, "image"))
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "404 Not Found")
}

func TestUnit_ARunIsNamedByItsActorAndItsNumber(t *testing.T) {
	t.Parallel()
	all := map[string]string{
		"GITHUB_TRIGGERING_ACTOR": "dev", "GITHUB_RUN_ID": "7", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/n",
	}
	of := func(without string) string {
		return runOf(func(name string) string {
			if name == without {
				return ""
			}
			return all[name]
		})
	}
	assert.Equal(t, "dev in https://github.com/o/n/actions/runs/7", of(""))
	assert.Empty(t, of("GITHUB_TRIGGERING_ACTOR"))
	assert.Empty(t, of("GITHUB_RUN_ID"))
}
