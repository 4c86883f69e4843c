package main

import (
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v74/github"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/github/githubtest"
)

// The commands as the workflows run them, one after the other, against a GitHub.
func TestUnit_OneCommentAndOneIssueAreKept(t *testing.T) {
	g := githubtest.Start(t)
	t.Setenv("GITHUB_TOKEN", g.Settings.Token)
	t.Setenv("GITHUB_REPOSITORY", g.Settings.Repository)
	t.Setenv("GITHUB_API_URL", g.Settings.APIURL)
	const sha, fork = "0123456789012345678901234567890123456789", "somebody/sharedinfra"
	g.Pulls = []*gogithub.PullRequest{githubtest.Pull(7, fork, "feature", sha, "develop")}
	g.OfCommit[sha] = g.Pulls

	report := func(body string) string {
		return write(t, "dev.json", `{"environment":"dev","base":"develop","projects":[{"name":"gridos-infra","changes":[`+body+`]}]}`)
	}
	comment := func(file string) {
		code, output := runs(t, "comment", "--head-sha", sha, "--head-repository", fork, file)
		require.Zero(t, code, output)
		assert.Regexp(t, `^(created|updated) https://\S+/pull/7\S*\n$`, output)
	}
	comment(report(`{"op":"delete","level":"dangerous","type":"t:Vault","name":"the-vault"}`))
	require.Len(t, g.Comments[7], 1)
	assert.Contains(t, g.Comments[7][0].GetBody(), "Vault the-vault")
	comment(report(""))
	require.Len(t, g.Comments[7], 1, "it is the same, brought up to date")
	assert.NotContains(t, g.Comments[7][0].GetBody(), "the-vault")
	assert.Contains(t, g.Comments[7][0].GetBody(), "No change.")

	code, output := runs(t, "comment", "--head-sha", "9123456789012345678901234567890123456789", "--head-repository", fork,
		report(""))
	assert.Zero(t, code, output)
	assert.Contains(t, output, "moved on")
	deafly(t, "comment", "--head-sha", "9123456789012345678901234567890123456789", "--head-repository", fork, report(""))

	// Without any report the comment says so, and does not go on to show the last one.
	crashed := write(t, "prod.json", "")
	code, output = runs(t, "comment", "--head-sha", sha, "--head-repository", fork, "--run", "https://github.com/run", "reports/*.json", crashed)
	assert.Zero(t, code, output)
	require.Len(t, g.Comments[7], 1)
	body := g.Comments[7][0].GetBody()
	assert.NotContains(t, body, "No change.")
	assert.Contains(t, body, "Commit "+sha+", [run](https://github.com/run), ")
	assert.Equal(t, 3, strings.Count(body, "there is no report: the preview failed before it had one"), body)
	// And the report of one environment does not count for all three.
	comment(report(""))
	assert.Equal(t, 2, strings.Count(g.Comments[7][0].GetBody(), "there is no report"))

	drift := func(body string) {
		file := write(t, "dev.json", `{"environment":"dev","drift":true,"projects":[{"name":"gridos-infra","changes":[`+body+`]}]}`)
		code, output := runs(t, "drift-issue", "--expect", "dev", file)
		require.Zero(t, code, output)
	}
	drift("")
	assert.Empty(t, g.Issues, "nothing is told as long as there is nothing to tell")
	for range 2 {
		drift(`{"op":"update","level":"plain","type":"t:Vault","name":"the-vault"}`)
		require.Len(t, g.Issues, 1)
		assert.Equal(t, "Drift in dev", g.Issues[0].GetTitle())
		assert.Equal(t, "open", g.Issues[0].GetState())
	}
	drift("")
	require.Len(t, g.Issues, 1)
	assert.Equal(t, "closed", g.Issues[0].GetState())
}

// The code that a report is about also makes the report.
func TestUnit_AReportThatItsOwnPullRequestCouldHaveMadeUpSaysSo(t *testing.T) {
	g := githubtest.Start(t)
	t.Setenv("GITHUB_TOKEN", g.Settings.Token)
	t.Setenv("GITHUB_REPOSITORY", g.Settings.Repository)
	t.Setenv("GITHUB_API_URL", g.Settings.APIURL)
	const sha = "0123456789012345678901234567890123456789"
	file := write(t, "dev.json", `{"environment":"dev","projects":[{"name":"gridos-infra","changes":[]}]}`)
	body := func(repository string, files ...string) string {
		g.Pulls = []*gogithub.PullRequest{githubtest.Pull(7, repository, "feature", sha, "develop")}
		g.OfCommit[sha], g.Files = g.Pulls, map[int][]string{7: files}
		code, output := runs(t, "comment", "--head-sha", sha, "--head-repository", repository, file)
		require.Zero(t, code, output)
		return g.Comments[7][0].GetBody()
	}
	const doubt = "it may say what it likes"
	assert.NotContains(t, body(g.Settings.Repository, "a", "infra/main.go", "docs/lab/x.md", "b", "src/pipeline/x.go"), doubt)
	for _, name := range []string{"internal/changes/risk.go", ".github/workflows/infra-test.yml", "lab/x`\n@everybody", "policy/x.go", "go.mod"} {
		text := body(g.Settings.Repository, "a", "b", "c", name) // on the second page
		assert.Contains(t, text, doubt, name)
		assert.NotContains(t, text, "@everybody")
	}
	assert.Contains(t, body("somebody/sharedinfra", "README.md"), "comes from a fork, and its own code made what follows")
}

func TestUnit_CommandsThatTellGitHubSayWhatTheyMiss(t *testing.T) {
	for _, name := range []string{"GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL"} {
		t.Setenv(name, "")
	}
	report := write(t, "dev.json", `{"environment": "dev", "projects": [{"name": "p"}]}`)
	for _, args := range [][]string{
		{"drift-issue", "--expect", "dev"},
		{"guard", "--labels-of", "refs/pull/7/merge", report},
		{"comment", "--head-sha", "0123456", "--head-repository", "o/n", report},
		{"consents", "--commit", "0123456"},
		{"again", "--workflow", "w.yml", "--job", "guard", "--head-sha", "0123456"},
		{"promote", "--to", "test", "--image", "testgridosacr.azurecr.io/gridos", "--tag", "test-abc1234"},
	} {
		code, output := runs(t, args...)
		assert.Equal(t, cli.Mistake, code, args)
		for _, name := range []string{"GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL"} {
			assert.Contains(t, output, name)
		}
	}
}

// The consents are those labels of the pull request that was merged as the commit, and no other
// labels.
func TestUnit_ConsentsComeFromThePullRequestThatWasMerged(t *testing.T) {
	g := githubtest.Start(t)
	t.Setenv("GITHUB_TOKEN", g.Settings.Token)
	t.Setenv("GITHUB_REPOSITORY", g.Settings.Repository)
	t.Setenv("GITHUB_API_URL", g.Settings.APIURL)
	outputs := write(t, "outputs", "")
	t.Setenv("GITHUB_OUTPUT", outputs)
	const sha = "0123456789012345678901234567890123456789"
	label := "allow-dangerous-change:prod-" + strings.Repeat("0a", 10)
	merged, open := githubtest.Pull(7, githubtest.Repository, "feature", sha, "main"), githubtest.Pull(8, githubtest.Repository, "other", sha, "main")
	merged.MergedAt, merged.MergeCommitSHA = &gogithub.Timestamp{Time: time.Now()}, gogithub.Ptr(sha)
	merged.Labels = []*gogithub.Label{{Name: gogithub.Ptr("bug")}, {Name: &label}, {Name: gogithub.Ptr(label + "\nx=y")}}
	open.Labels = []*gogithub.Label{{Name: gogithub.Ptr(strings.Replace(label, "0a", "0b", 1))}}
	g.OfCommit[sha] = []*gogithub.PullRequest{open, merged}

	code, output := runs(t, "consents", "--commit", sha)
	require.Zero(t, code, output)
	assert.Equal(t, label+"\n", output)
	assert.Equal(t, "consents="+label+"\n", read(t, outputs))

	g.OfCommit[sha] = g.OfCommit[sha][:1]
	code, output = runs(t, "consents", "--commit", sha)
	assert.Zero(t, code, output)
	assert.Equal(t, "\n", output)
}
