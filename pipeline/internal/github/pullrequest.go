package github

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	gogithub "github.com/google/go-github/v74/github"
)

// ErrNoPullRequest says that no open pull request ends with a commit: it is closed, or has another
// commit by now.
var ErrNoPullRequest = errors.New("it is the head of no open pull request")

// PullRequestOf returns the number of the open pull request whose last commit is headSHA, on a
// branch of headRepository (owner/name), which may be a fork. An event of a workflow_run names no
// pull request of a fork. The error is ErrNoPullRequest if there is none.
func (c *Client) PullRequestOf(ctx context.Context, headSHA, headRepository string) (int, error) {
	ofCommit := pages(func(at gogithub.ListOptions) ([]*gogithub.PullRequest, *gogithub.Response, error) {
		return c.api.PullRequests.ListPullRequestsWithCommit(ctx, c.owner, c.name, headSHA, &at)
	})
	number, err := c.head(ofCommit, headSHA, headRepository)
	// GitHub does not always know the pull requests of a commit that is in a fork only, nor the commit
	// itself.
	if errors.Is(err, ErrNoPullRequest) || refused(err, http.StatusNotFound, http.StatusUnprocessableEntity) {
		number, err = c.head(pages(func(at gogithub.ListOptions) ([]*gogithub.PullRequest, *gogithub.Response, error) {
			return c.api.PullRequests.List(ctx, c.owner, c.name, &gogithub.PullRequestListOptions{State: "open", ListOptions: at})
		}), headSHA, headRepository)
	}
	doing := fmt.Sprintf("look for the pull request of commit %s of %s", headSHA, headRepository)
	return number, c.explain(doing, "pull-requests: read", err)
}

// LabelsOfMerged returns the labels of the pull requests whose merge made a commit: none for a
// commit that was pushed. After a squash, a rebase or a merge, merge_commit_sha is the last commit
// on the base branch (docs.github.com, REST API, "Get a pull request").
func (c *Client) LabelsOfMerged(ctx context.Context, commit string) ([]string, error) {
	var labels []string
	for pr, err := range pages(func(at gogithub.ListOptions) ([]*gogithub.PullRequest, *gogithub.Response, error) {
		return c.api.PullRequests.ListPullRequestsWithCommit(ctx, c.owner, c.name, commit, &at)
	}) {
		if err != nil {
			return nil, c.explain("look for the pull request that made commit "+commit, "pull-requests: read", err)
		}
		if pr.MergedAt == nil || pr.GetMergeCommitSHA() != commit ||
			!strings.EqualFold(pr.GetBase().GetRepo().GetFullName(), c.owner+"/"+c.name) {
			continue
		}
		for _, label := range pr.Labels {
			labels = append(labels, label.GetName())
		}
	}
	return labels, nil
}

// head finds the one open pull request of this repository that ends with a commit. The lists
// contain others too.
func (c *Client) head(list iter.Seq2[*gogithub.PullRequest, error], sha, repository string) (int, error) {
	var numbers []int
	for pr, err := range list {
		if err != nil {
			return 0, err
		}
		if pr.GetState() == "open" && pr.GetHead().GetSHA() == sha &&
			strings.EqualFold(pr.GetHead().GetRepo().GetFullName(), repository) &&
			strings.EqualFold(pr.GetBase().GetRepo().GetFullName(), c.owner+"/"+c.name) {
			numbers = append(numbers, pr.GetNumber())
		}
	}
	switch len(numbers) {
	case 0:
		return 0, ErrNoPullRequest
	case 1:
		return numbers[0], nil
	default:
		return 0, fmt.Errorf("it is the head of the pull requests %v, and which is meant cannot be told; close all but one", numbers)
	}
}

// Touches returns the first file that a pull request changes below one of the folders, or "" if
// there is none. GitHub lists 3000 files at most (docs.github.com, REST API, "List pull requests
// files"): a pull request with more counts as touching all folders.
func (c *Client) Touches(ctx context.Context, number int, folders ...string) (string, error) {
	files := 0
	for file, err := range pages(func(at gogithub.ListOptions) ([]*gogithub.CommitFile, *gogithub.Response, error) {
		return c.api.PullRequests.ListFiles(ctx, c.owner, c.name, number, &at)
	}) {
		if err != nil {
			return "", c.explain(fmt.Sprintf("list the files of pull request %d", number), "pull-requests: read", err)
		}
		files++
		for _, folder := range folders {
			for _, name := range []string{file.GetFilename(), file.GetPreviousFilename()} {
				if strings.HasPrefix(name, folder) || files == 3000 {
					return name, nil
				}
			}
		}
	}
	return "", nil
}

// OpenPullRequest returns the open pull request of a branch of the repository itself, or one with
// the number 0 if there is none.
func (c *Client) OpenPullRequest(ctx context.Context, branch, base string) (Result, error) {
	pr, err := c.openPullRequest(ctx, branch, base)
	return Result{Action: Unchanged, Number: pr.GetNumber(), URL: pr.GetHTMLURL()}, err
}

func (c *Client) openPullRequest(ctx context.Context, branch, base string) (*gogithub.PullRequest, error) {
	list, _, err := c.api.PullRequests.List(ctx, c.owner, c.name,
		&gogithub.PullRequestListOptions{State: "open", Head: c.owner + ":" + branch, Base: base})
	if err != nil {
		return nil, c.explain("look for the pull request of branch "+branch, "pull-requests: read", err)
	}
	for _, pr := range list {
		if pr.GetHead().GetRef() == branch { // GitHub lists all when it does not understand the filter
			return pr, nil
		}
	}
	return nil, nil
}

// UpsertPullRequest keeps one open pull request of a branch of the repository itself. The body is
// Markdown, cut as that of a comment.
func (c *Client) UpsertPullRequest(ctx context.Context, branch, base, title, body string) (Result, error) {
	body = fit(body, c.rest)
	pr, err := c.openPullRequest(ctx, branch, base)
	if err != nil {
		return Result{}, err
	}
	explain := func(err error) error {
		return c.explain("keep the pull request of branch "+branch+" up to date", "pull-requests: write (and, in the repository's "+
			"settings for Actions, that workflows may create pull requests)", err)
	}
	if pr == nil {
		created, _, err := c.api.PullRequests.Create(ctx, c.owner, c.name,
			&gogithub.NewPullRequest{Title: &title, Body: &body, Head: &branch, Base: &base})
		return Result{Action: Created, Number: created.GetNumber(), URL: created.GetHTMLURL()}, explain(err)
	}
	result := Result{Action: Unchanged, Number: pr.GetNumber(), URL: pr.GetHTMLURL()}
	if pr.GetTitle() == title && equal(pr.GetBody(), body) {
		return result, nil
	}
	result.Action = Updated
	_, _, err = c.api.PullRequests.Edit(ctx, c.owner, c.name, pr.GetNumber(), &gogithub.PullRequest{Title: &title, Body: &body})
	return result, explain(err)
}
