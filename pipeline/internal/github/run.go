package github

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	gogithub "github.com/google/go-github/v74/github"
)

// Refs of the merge that GitHub makes of a pull request, by itself or in a merge queue, after those
// before it (docs.github.com, "Events that trigger workflows", pull_request; "Managing a merge
// queue", gh-readonly-queue).
var refOfPull = regexp.MustCompile(`^refs/(?:pull/(\d+)/merge|heads/gh-readonly-queue/.+/pr-(\d+)-[0-9a-f]+)$`)

// PullRequestOfRef returns the number of the pull request that a workflow's GITHUB_REF is of.
func PullRequestOfRef(ref string) (int, error) {
	found := refOfPull.FindStringSubmatch(ref)
	if found == nil {
		return 0, fmt.Errorf("%q is the ref of no pull request; pass GITHUB_REF of a run of a pull request or a merge queue", ref)
	}
	return strconv.Atoi(found[1] + found[2])
}

// Labels returns the names of the labels that a pull request has now.
func (c *Client) Labels(ctx context.Context, number int) ([]string, error) {
	pr, _, err := c.api.PullRequests.Get(ctx, c.owner, c.name, number)
	if err != nil {
		return nil, c.explain(fmt.Sprintf("look at the labels of pull request %d", number), "pull-requests: read", err)
	}
	var names []string
	for _, label := range pr.Labels {
		names = append(names, label.GetName())
	}
	return names, nil
}

// Again starts the job of the newest run of a workflow for a commit again, and says what it did. A
// run that has not ended is left alone. That the job finds the artifacts of the run's earlier
// attempts is inferred `earlier-attempt-artifacts`.
func (c *Client) Again(ctx context.Context, workflow, job, headSHA string) (string, error) {
	explain := func(err error) error {
		return c.explain(fmt.Sprintf("start job %s of %s for commit %s again", job, workflow, headSHA), "actions: write", err)
	}
	list, _, err := c.api.Actions.ListWorkflowRunsByFileName(ctx, c.owner, c.name, workflow,
		&gogithub.ListWorkflowRunsOptions{HeadSHA: headSHA, Event: "pull_request"})
	if err != nil {
		return "", explain(err)
	}
	var newest *gogithub.WorkflowRun
	for _, run := range list.WorkflowRuns {
		if run.GetHeadSHA() == headSHA && run.GetRunNumber() > newest.GetRunNumber() {
			newest = run
		}
	}
	switch {
	case newest == nil:
		return fmt.Sprintf("There is no run of %s for commit %s: its first one will ask.", workflow, headSHA), nil
	case newest.GetStatus() != "completed":
		return fmt.Sprintf("The run %s has not ended: its job %s is still to come.", newest.GetHTMLURL(), job), nil
	}
	latest := &gogithub.ListWorkflowJobsOptions{Filter: "latest"}
	jobs, _, err := c.api.Actions.ListWorkflowJobs(ctx, c.owner, c.name, newest.GetID(), latest)
	if err != nil {
		return "", explain(err)
	}
	for _, one := range jobs.Jobs {
		if one.GetName() == job {
			_, err := c.api.Actions.RerunJobByID(ctx, c.owner, c.name, one.GetID())
			return fmt.Sprintf("Job %s of %s starts again.", job, newest.GetHTMLURL()), explain(err)
		}
	}
	return "", fmt.Errorf("the run %s has no job %s; push a commit to have a new run", newest.GetHTMLURL(), job)
}
