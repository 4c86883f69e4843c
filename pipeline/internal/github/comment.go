package github

import (
	"context"
	"fmt"

	gogithub "github.com/google/go-github/v74/github"
)

// UpsertComment keeps one comment on a pull request: it edits the one that it has written before
// under the same marker, or writes one. The body is Markdown; a text that is too long is cut at the
// end of a line, and Settings.Rest says where the rest is.
func (c *Client) UpsertComment(ctx context.Context, pr int, marker, body string) (Result, error) {
	explain := func(err error) error {
		return c.explain(fmt.Sprintf("comment on pull request %d", pr), "pull-requests: write", err)
	}
	signature, err := sign(marker)
	if err != nil {
		return Result{}, err
	}
	text := fit(signature+"\n"+body, c.rest)
	for comment, err := range pages(func(at gogithub.ListOptions) ([]*gogithub.IssueComment, *gogithub.Response, error) {
		return c.api.Issues.ListComments(ctx, c.owner, c.name, pr, &gogithub.IssueListCommentsOptions{ListOptions: at})
	}) {
		if err != nil {
			return Result{}, explain(err)
		}
		mine, err := c.wrote(ctx, comment.GetUser(), comment.GetBody(), signature)
		if err != nil {
			return Result{}, err
		}
		if !mine {
			continue
		}
		result := Result{Action: Unchanged, Number: pr, URL: comment.GetHTMLURL()}
		if equal(comment.GetBody(), text) {
			return result, nil
		}
		result.Action = Updated
		_, _, err = c.api.Issues.EditComment(ctx, c.owner, c.name, comment.GetID(), &gogithub.IssueComment{Body: &text})
		return result, explain(err)
	}
	created, _, err := c.api.Issues.CreateComment(ctx, c.owner, c.name, pr, &gogithub.IssueComment{Body: &text})
	return Result{Action: Created, Number: pr, URL: created.GetHTMLURL()}, explain(err)
}
