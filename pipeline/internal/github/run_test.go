package github_test

import (
	"testing"

	gogithub "github.com/google/go-github/v74/github"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/github"
	"github.com/gridos/sharedinfra/pipeline/internal/github/githubtest"
)

func TestUnit_ARefSaysWhosePullRequestItIs(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]int{
		"refs/pull/17/merge": 17, "refs/heads/gh-readonly-queue/main/pr-104-0123abc": 104, "refs/heads/gh-readonly-queue/release/2/pr-8-aa": 8,
	} {
		number, err := github.PullRequestOfRef(ref)
		require.NoError(t, err)
		assert.Equal(t, want, number)
	}
	for _, ref := range []string{"", "refs/heads/main", "refs/heads/pr-7-abc", "refs/pull/x/merge", "refs/pull/7/merge\nrefs/pull/8/merge"} {
		_, err := github.PullRequestOfRef(ref)
		require.ErrorContains(t, err, "is the ref of no pull request", ref)
	}
}

func TestUnit_LabelsAreThoseOfNow(t *testing.T) {
	t.Parallel()
	g := githubtest.Start(t)
	pull := githubtest.Pull(7, githubtest.Repository, "topic", "abc", "main")
	pull.Labels = []*gogithub.Label{{Name: gogithub.Ptr(`say "hi", please`)}, {Name: gogithub.Ptr("docs")}}
	g.Pulls = append(g.Pulls, pull)
	labels, err := g.Client(t).Labels(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, []string{`say "hi", please`, "docs"}, labels)
	_, err = g.Client(t).Labels(t.Context(), 8)
	require.ErrorContains(t, err, "pull-requests: read")
}

func TestUnit_OneJobOfTheNewestRunStartsAgain(t *testing.T) {
	t.Parallel()
	g := githubtest.Start(t)
	again := func() (string, error) { return g.Client(t).Again(t.Context(), "infra-test.yml", "guard", "abc") }
	said, err := again()
	require.NoError(t, err)
	assert.Contains(t, said, "There is no run")

	run := func(id int64, number int, sha, status string) *gogithub.WorkflowRun {
		return &gogithub.WorkflowRun{ID: &id, RunNumber: &number, HeadSHA: &sha, Status: &status}
	}
	g.Runs = []*gogithub.WorkflowRun{run(30, 3, "abc", "completed"), run(40, 4, "abc", "completed"), run(50, 5, "other", "completed")}
	g.Jobs = map[int64][]*gogithub.WorkflowJob{40: {{ID: gogithub.Ptr(int64(1)), Name: gogithub.Ptr("lab")}}}
	_, err = again()
	require.ErrorContains(t, err, "has no job guard")
	g.Jobs[40] = append(g.Jobs[40], &gogithub.WorkflowJob{ID: gogithub.Ptr(int64(2)), Name: gogithub.Ptr("guard")})
	_, err = again()
	require.NoError(t, err)
	assert.Equal(t, []string{"POST /repos/gridos/sharedinfra/actions/jobs/2/rerun"}, g.Requests, "and no other job")

	g.Requests, g.Runs = nil, append(g.Runs, run(60, 6, "abc", "in_progress"))
	said, err = again()
	require.NoError(t, err)
	assert.Contains(t, said, "has not ended")
	assert.Empty(t, g.Requests)
}
