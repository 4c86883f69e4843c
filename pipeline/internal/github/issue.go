package github

import (
	"context"
	"slices"

	gogithub "github.com/google/go-github/v74/github"
)

// UpsertIssue keeps one issue: with open the issue exists and is open, with this title, this body
// (Markdown, cut as that of a comment) and at least these labels; without open an existing issue
// gets the new title and body and is closed. The marker identifies the issue. If there are several,
// which only people can have created, it is the open one or else the newest.
func (c *Client) UpsertIssue(ctx context.Context, marker, title, body string, labels []string, open bool) (Result, error) {
	explain := func(err error) error { return c.explain("keep the issue up to date", "issues: write", err) }
	signature, err := sign(marker)
	if err != nil {
		return Result{}, err
	}
	text := fit(signature+"\n"+body, c.rest)
	found, err := c.issue(ctx, signature)
	if err != nil {
		return Result{}, explain(err)
	}
	if found == nil {
		if !open {
			return Result{Action: Unchanged}, nil
		}
		created, _, err := c.api.Issues.Create(ctx, c.owner, c.name, &gogithub.IssueRequest{Title: &title, Body: &text, Labels: &labels})
		return Result{Action: Created, Number: created.GetNumber(), URL: created.GetHTMLURL()}, explain(err)
	}

	result := Result{Action: Unchanged, Number: found.GetNumber(), URL: found.GetHTMLURL()}
	change := &gogithub.IssueRequest{}
	wasOpen := found.GetState() == "open"
	if !wasOpen && !open {
		return result, nil
	}
	if found.GetTitle() != title || !equal(found.GetBody(), text) {
		change.Title, change.Body = &title, &text
		result.Action = Updated
	}
	if open {
		all := make([]string, 0, len(found.Labels)+len(labels)) // an edit sets them all; people's own labels stay
		for _, label := range found.Labels {
			all = append(all, label.GetName())
		}
		for _, label := range labels {
			if !slices.Contains(all, label) {
				all = append(all, label)
			}
		}
		if len(all) > len(found.Labels) {
			change.Labels = &all
			result.Action = Updated
		}
	}
	switch {
	case open && !wasOpen:
		change.State = gogithub.Ptr("open")
		result.Action = Reopened
	case !open:
		change.State, change.StateReason = gogithub.Ptr("closed"), gogithub.Ptr("completed")
		result.Action = Closed
	}
	if result.Action == Unchanged {
		return result, nil
	}
	_, _, err = c.api.Issues.Edit(ctx, c.owner, c.name, found.GetNumber(), change)
	return result, explain(err)
}

// issue returns the pipeline's own one, or nil. It reads the list: the search knows new issues only
// after a while.
func (c *Client) issue(ctx context.Context, signature string) (*gogithub.Issue, error) {
	var newestClosed *gogithub.Issue
	for issue, err := range pages(func(at gogithub.ListOptions) ([]*gogithub.Issue, *gogithub.Response, error) {
		return c.api.Issues.ListByRepo(ctx, c.owner, c.name, &gogithub.IssueListByRepoOptions{
			State: "all", Sort: "created", Direction: "desc", ListOptions: at,
		})
	}) {
		if err != nil {
			return nil, err
		}
		if issue.IsPullRequest() {
			continue
		}
		mine, err := c.wrote(ctx, issue.GetUser(), issue.GetBody(), signature)
		switch {
		case err != nil:
			return nil, err
		case mine && issue.GetState() == "open":
			return issue, nil
		case mine && newestClosed == nil:
			newestClosed = issue
		}
	}
	return newestClosed, nil
}
