package github_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	gogithub "github.com/google/go-github/v74/github"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/github"
	"github.com/gridos/sharedinfra/pipeline/internal/github/githubtest"
)

const marker = "gridos-preview"

func comment(id int64, author *gogithub.User, body string) *gogithub.IssueComment {
	return &gogithub.IssueComment{ID: &id, User: author, Body: &body}
}

func person(login string) *gogithub.User {
	return &gogithub.User{Login: &login, Type: gogithub.Ptr("User")}
}

func TestUnit_ThereIsOneCommentAndItIsEditedInPlace(t *testing.T) {
	t.Parallel()
	g := githubtest.Start(t)
	for id := range int64(7) {
		g.Comments[5] = append(g.Comments[5], comment(id, person("dev"), "looks good"))
	}
	g.Comments[5] = append(g.Comments[5],
		comment(7, person("dev"), "<!-- "+marker+" -->\nI can write that too"),
		comment(8, githubtest.Bot, "> <!-- "+marker+" -->\nquoted by a bot"))
	c := g.Client(t)

	first, err := c.UpsertComment(t.Context(), 5, marker, "3 changes")
	require.NoError(t, err)
	assert.Equal(t, github.Created, first.Action)
	for i := range 3 { // what was written first is on the fourth page by now
		g.Comments[5] = append(g.Comments[5], comment(int64(20+i), person("dev"), "more"))
	}
	second, err := c.UpsertComment(t.Context(), 5, marker, "2 changes")
	require.NoError(t, err)
	assert.Equal(t, github.Result{Action: github.Updated, Number: 5, URL: first.URL}, second)
	third, err := c.UpsertComment(t.Context(), 5, marker, "2 changes")
	require.NoError(t, err)
	assert.Equal(t, github.Unchanged, third.Action)

	assert.Equal(t, "<!-- gridos-preview -->\n2 changes", g.Comments[5][9].GetBody())
	assert.Equal(t, []string{
		"POST /repos/gridos/sharedinfra/issues/5/comments", "PATCH /repos/gridos/sharedinfra/issues/comments/5010",
	}, g.Requests, "and nobody else's comment is touched")

	_, err = c.UpsertComment(t.Context(), 5, "ends --> here", "text")
	require.ErrorContains(t, err, "cannot be hidden")
}

func TestUnit_WhoUsesTheirOwnTokenFindsTheirOwnComment(t *testing.T) {
	t.Parallel()
	g := githubtest.Start(t)
	g.User, g.Author = person("operator"), person("operator")
	g.Comments[5] = append(g.Comments[5], comment(1, person("dev"), "<!-- "+marker+" -->\nnot the operator's"))
	c := g.Client(t)
	for _, want := range []github.Action{github.Created, github.Updated} {
		result, err := c.UpsertComment(t.Context(), 5, marker, "by hand, "+string(want))
		require.NoError(t, err)
		assert.Equal(t, want, result.Action)
	}
	assert.Len(t, g.Comments[5], 2)
}

func TestUnit_ACommentThatIsTooLongEndsWithALineAndSaysWhereTheRestIs(t *testing.T) {
	t.Parallel()
	g := githubtest.Start(t)
	g.Settings.Rest = "[the run](https://github.com/gridos/sharedinfra/actions/runs/1)"
	var body strings.Builder
	body.WriteString("<details><summary>dev</summary>\n\n```diff\n")
	for i := range 10_000 {
		fmt.Fprintf(&body, "+ gröẞe 🌈 %05d\n", i) // more bytes than characters
	}
	body.WriteString("```\n</details>\n")
	_, err := g.Client(t).UpsertComment(t.Context(), 5, marker, body.String())
	require.NoError(t, err)
	text := g.Comments[5][0].GetBody()
	characters := utf8.RuneCountInString(text)
	assert.LessOrEqual(t, characters, 65_536)
	assert.Greater(t, characters, 65_536-40, "no more than a line less than there is room for")
	assert.Regexp(t, `\n\+ gröẞe 🌈 \d{5}\n`+"```\n\n</details>\n\n\n"+
		`\*\*This is not all: the rest does not fit here\. It is in \[the run\]\(https://\S+/runs/1\)\.\*\*\n$`, text)

	_, err = g.Client(t).UpsertComment(t.Context(), 6, marker, strings.Repeat("x", 65_536-len("<!-- "+marker+" -->\n")))
	require.NoError(t, err)
	assert.NotContains(t, g.Comments[6][0].GetBody(), "This is not all", "what just fits is left as it is")
}

func TestUnit_OneIssueIsOpenedUpdatedClosedAndReopened(t *testing.T) {
	t.Parallel()
	g := githubtest.Start(t)
	text := "<!-- gridos-drift -->\nby a person"
	for i := range 4 {
		g.Issues = append(g.Issues, &gogithub.Issue{Number: gogithub.Ptr(i + 1), State: gogithub.Ptr("open"), User: person("dev"), Body: &text})
	}
	c := g.Client(t)
	_, err := c.UpsertIssue(t.Context(), "gridos--drift", "Drift", "body", nil, true)
	require.ErrorContains(t, err, `"gridos--drift" cannot be hidden in an HTML comment`)
	keep := func(body string, open bool) github.Result {
		t.Helper()
		result, err := c.UpsertIssue(t.Context(), "gridos-drift", "Drift", body, []string{"drift"}, open)
		require.NoError(t, err)
		return result
	}
	assert.Equal(t, github.Result{Action: github.Unchanged}, keep("clean", false), "there is none to close")
	created := keep("dev", true)
	assert.Equal(t, github.Result{Action: github.Created, Number: 5, URL: "https://github.com/gridos/sharedinfra/issues/5"}, created)
	issue := g.Issues[4]
	issue.Labels = append(issue.Labels, &gogithub.Label{Name: gogithub.Ptr("ours")})
	for i := range 4 { // it is on the second page by now
		g.Issues = append(g.Issues, &gogithub.Issue{
			Number: gogithub.Ptr(i + 6), State: gogithub.Ptr("open"), User: githubtest.Bot, Body: &text,
			PullRequestLinks: &gogithub.PullRequestLinks{},
		})
	}

	assert.Equal(t, github.Unchanged, keep("dev", true).Action)
	assert.Equal(t, github.Updated, keep("dev and prod", true).Action)
	assert.Equal(t, github.Closed, keep("clean", false).Action)
	assert.Equal(t, "closed", issue.GetState())
	assert.Equal(t, "<!-- gridos-drift -->\nclean", issue.GetBody())
	assert.Equal(t, github.Unchanged, keep("still clean", false).Action)
	issue.Labels = issue.Labels[1:] // a user removes the label
	assert.Equal(t, github.Reopened, keep("test", true).Action)
	assert.Equal(t, "open", issue.GetState())
	assert.Equal(t, "<!-- gridos-drift -->\ntest", issue.GetBody())
	require.Len(t, issue.Labels, 2)
	assert.Equal(t, []string{"ours", "drift"}, []string{issue.Labels[0].GetName(), issue.Labels[1].GetName()})
	assert.Len(t, g.Issues, 9)
}

func TestUnit_ThePullRequestOfAForkIsFoundByItsHead(t *testing.T) {
	t.Parallel()
	const fork = "somebody/sharedinfra"
	g := githubtest.Start(t)
	c := g.Client(t)
	g.OfCommit["aaa"] = []*gogithub.PullRequest{
		githubtest.Pull(1, fork, "x", "bbb", "main"),                  // has another commit on top by now
		githubtest.Pull(2, githubtest.Repository, "x", "aaa", "main"), // the same commit, on a branch of the repository itself
		githubtest.Pull(3, fork, "x", "aaa", "main"),
	}
	number, err := c.PullRequestOf(t.Context(), "aaa", fork)
	require.NoError(t, err)
	assert.Equal(t, 3, number)

	// For a commit that is in a fork only, GitHub lists no pull requests, or does not even know the
	// commit.
	g.OfCommit["ccc"] = nil
	for i, sha := range []string{"old", "old", "old", "ccc", "ddd", "eee", "eee"} {
		g.Pulls = append(g.Pulls, githubtest.Pull(10+i, fork, fmt.Sprint("branch-", i), sha, "main"))
	}
	for sha, want := range map[string]int{"ccc": 13, "ddd": 14} {
		number, err := c.PullRequestOf(t.Context(), sha, fork)
		require.NoError(t, err)
		assert.Equal(t, want, number)
	}
	number, err = c.PullRequestOf(t.Context(), "fff", fork)
	require.ErrorIs(t, err, github.ErrNoPullRequest)
	assert.Zero(t, number)
	_, err = c.PullRequestOf(t.Context(), "eee", fork)
	require.ErrorContains(t, err, "[15 16]")
	g.Pulls[3].State = gogithub.Ptr("closed")
	_, err = c.PullRequestOf(t.Context(), "ccc", fork)
	require.ErrorIs(t, err, github.ErrNoPullRequest)
}

// For a commit that it does not show, GitHub answers 404 or 422 (docs.github.com, REST API,
// "Troubleshooting the REST API").
func TestUnit_ACommitThatGitHubDoesNotShowIsLookedForAmongThePullRequests(t *testing.T) {
	t.Parallel()
	hidden := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/commits/") {
			http.Error(w, `{"message": "Not Found"}`, http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `[{"number": 8, "state": "open", "head": {"sha": "aaa", "repo": {"full_name": "somebody/sharedinfra"}},
			"base": {"repo": {"full_name": %q}}}]`, githubtest.Repository)
	}))
	t.Cleanup(hidden.Close)
	c, err := github.New(github.Settings{Token: "t", Repository: githubtest.Repository, APIURL: hidden.URL})
	require.NoError(t, err)
	number, err := c.PullRequestOf(t.Context(), "aaa", "somebody/sharedinfra")
	require.NoError(t, err)
	assert.Equal(t, 8, number)
}

func TestUnit_WhatIsMissingInTheEnvironmentIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	_, err := github.SettingsFrom(func(string) string { return "" })
	for _, variable := range []string{"GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL"} {
		require.ErrorContains(t, err, variable)
	}
	inRun := func(without string) github.Settings {
		t.Helper()
		s, err := github.SettingsFrom(func(variable string) string {
			if variable == without {
				return ""
			}
			return map[string]string{
				"GITHUB_TOKEN": "t", "GITHUB_REPOSITORY": "gridos/sharedinfra", "GITHUB_API_URL": "https://ghe.example.com/api/v3",
				"GITHUB_SERVER_URL": "https://ghe.example.com", "GITHUB_RUN_ID": "7",
			}[variable]
		})
		require.NoError(t, err)
		return s
	}
	_, err = github.New(github.Settings{APIURL: "https://%zz"})
	require.ErrorContains(t, err, "the URL of GitHub's API: ")
	assert.Equal(t, "[the run](https://ghe.example.com/gridos/sharedinfra/actions/runs/7)", inRun("").Rest)
	for _, variable := range []string{"GITHUB_SERVER_URL", "GITHUB_RUN_ID"} {
		assert.Empty(t, inRun(variable).Rest, "without %s there is no link", variable)
	}
}

func TestUnit_ARefusalSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	g := githubtest.Start(t)
	g.Settings.Token = "another"
	_, err := g.Client(t).UpsertComment(t.Context(), 5, marker, "text")
	require.ErrorContains(t, err, "GITHUB_TOKEN is refused")
	g = githubtest.Start(t)
	g.Settings.Repository = "gridos/other"
	_, err = g.Client(t).UpsertIssue(t.Context(), marker, "title", "text", nil, true)
	require.ErrorContains(t, err, "issues: write in gridos/other")

	// A token that may read issues, and not write them.
	readOnly := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/issues") {
			fmt.Fprintf(w, `[{"number": 1, "state": "open", "user": {"login": %q, "type": "Bot"}, "body": "<!-- %s -->"}]`,
				githubtest.Bot.GetLogin(), marker)
			return
		}
		http.Error(w, `{"message": "Resource not accessible by integration"}`, http.StatusForbidden)
	}))
	t.Cleanup(readOnly.Close)
	c, err := github.New(github.Settings{Token: "t", Repository: githubtest.Repository, APIURL: readOnly.URL})
	require.NoError(t, err)
	_, err = c.UpsertIssue(t.Context(), marker, "title", "text", nil, true)
	require.ErrorContains(t, err, "issues: write in "+githubtest.Repository)
}

// Each request of a call fails in turn: the call returns that failure, and a call that only asks
// returns nothing else.
func TestUnit_EachRequestThatFailsEndsTheCall(t *testing.T) {
	t.Parallel()
	const sha = "0123456789012345678901234567890123456789"
	begin := func(t *testing.T) (*githubtest.GitHub, *github.Client) {
		t.Helper()
		g := githubtest.Start(t)
		g.Pulls = []*gogithub.PullRequest{
			githubtest.Pull(7, "fork/sharedinfra", "feature", sha, "main"), githubtest.Pull(8, githubtest.Repository, "promote/test", sha, "main"),
		}
		g.Comments[5] = []*gogithub.IssueComment{
			comment(1, person("dev"), "<!-- "+marker+" -->\nby a person"),
			comment(2, githubtest.Bot, "<!-- "+marker+" -->\nold"),
		}
		text := "<!-- " + marker + " -->\nold"
		g.Issues = []*gogithub.Issue{{Number: gogithub.Ptr(1), State: gogithub.Ptr("open"), User: githubtest.Bot, Body: &text}}
		g.Files = map[int][]string{7: {"a", "b", "c", "d"}}
		g.Runs = []*gogithub.WorkflowRun{{
			ID: gogithub.Ptr(int64(1)), HeadSHA: gogithub.Ptr(sha), RunNumber: gogithub.Ptr(1),
			Status: gogithub.Ptr("completed"),
		}}
		g.Jobs = map[int64][]*gogithub.WorkflowJob{1: {{ID: gogithub.Ptr(int64(2)), Name: gogithub.Ptr("guard")}}}
		g.OfCommit[sha] = nil
		return g, g.Client(t)
	}
	for name, test := range map[string]struct {
		requests int
		asks     bool
		call     func(ctx context.Context, c *github.Client) (any, error)
	}{
		"the pull request of a commit": {2, true, func(ctx context.Context, c *github.Client) (any, error) {
			return c.PullRequestOf(ctx, sha, "fork/sharedinfra")
		}},
		"labels of what was merged": {1, true, func(ctx context.Context, c *github.Client) (any, error) { return c.LabelsOfMerged(ctx, sha) }},
		"labels of a pull request":  {1, true, func(ctx context.Context, c *github.Client) (any, error) { return c.Labels(ctx, 7) }},
		"files on two pages":        {2, true, func(ctx context.Context, c *github.Client) (any, error) { return c.Touches(ctx, 7, "x/") }},
		"one job again":             {3, false, func(ctx context.Context, c *github.Client) (any, error) { return c.Again(ctx, "w.yml", "guard", sha) }},
		"a comment on a new pull request": {1, false, func(ctx context.Context, c *github.Client) (any, error) {
			return c.UpsertComment(ctx, 6, marker, "new")
		}},
		"a comment, brought up to date": {3, false, func(ctx context.Context, c *github.Client) (any, error) {
			return c.UpsertComment(ctx, 5, marker, "new")
		}},
		"an issue": {2, false, func(ctx context.Context, c *github.Client) (any, error) {
			return c.UpsertIssue(ctx, marker, "title", "new", nil, true)
		}},
		"a new issue": {2, false, func(ctx context.Context, c *github.Client) (any, error) {
			return c.UpsertIssue(ctx, "another", "title", "new", nil, true)
		}},
		"a new pull request": {2, false, func(ctx context.Context, c *github.Client) (any, error) {
			return c.UpsertPullRequest(ctx, "promote/prod", "main", "title", "new")
		}},
		"a pull request, brought up to date": {2, false, func(ctx context.Context, c *github.Client) (any, error) {
			return c.UpsertPullRequest(ctx, "promote/test", "main", "title", "new")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; n <= test.requests; n++ {
				g, c := begin(t)
				g.FailAt = n
				result, err := test.call(t.Context(), c)
				require.ErrorContains(t, err, githubtest.Said, "request %d", n)
				if test.asks {
					assert.Zero(t, result, "request %d", n)
				}
			}
			_, c := begin(t)
			_, err := test.call(t.Context(), c)
			require.NoError(t, err)
		})
	}
}

// A line that alone is longer than a body may be is left out as a whole.
func TestUnit_ALineThatDoesNotFitIsLeftOut(t *testing.T) {
	t.Parallel()
	g := githubtest.Start(t)
	for number, body := range map[int]string{5: "", 6: "first\n"} {
		_, err := g.Client(t).UpsertComment(t.Context(), number, marker, body+strings.Repeat("x", 70_000)+"\n")
		require.NoError(t, err)
		assert.Equal(t, "<!-- "+marker+" -->\n"+body+
			"\n\n**This is not all: the rest does not fit here. It is in what the workflow has kept.**\n", g.Comments[number][0].GetBody())
	}
	_, err := g.Client(t).UpsertPullRequest(t.Context(), "promote/test", "main", "title", strings.Repeat("x", 70_000))
	require.NoError(t, err)
	assert.Equal(t, "\n\n**This is not all: the rest does not fit here. It is in what the workflow has kept.**\n", g.Pulls[0].GetBody())
}
