// Package github writes to GitHub what the pipeline finds: one comment on a pull request, one
// issue, one pull request of a branch, each created once and kept up to date.
package github

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v74/github"
)

// Settings name the repository, and the account that talks to it.
type Settings struct {
	// Token is what signs requests in.
	Token string
	// Repository is owner/name.
	Repository string
	// APIURL is where the API answers, such as https://api.github.com.
	APIURL string
	// Rest is Markdown that says where a reader finds what is too long for GitHub, such as a link to a
	// workflow's run.
	Rest string
}

// SettingsFrom reads the variables that workflows have: GITHUB_TOKEN (which a step has to be
// given), GITHUB_REPOSITORY and GITHUB_API_URL; and, for Rest, GITHUB_SERVER_URL and GITHUB_RUN_ID,
// without which it is empty. get is os.Getenv. The error joins one error for each wrong variable.
// Source: docs.github.com, "Default environment variables".
func SettingsFrom(get func(variable string) string) (Settings, error) {
	s := Settings{Token: get("GITHUB_TOKEN"), Repository: get("GITHUB_REPOSITORY"), APIURL: get("GITHUB_API_URL")}
	var mistakes []error
	if s.Token == "" {
		mistakes = append(mistakes, errors.New("GITHUB_TOKEN is not set; set it to a token that may write to the repository "+
			"(in a workflow: ${{ github.token }})"))
	}
	if owner, name, ok := strings.Cut(s.Repository, "/"); !ok || owner == "" || name == "" || strings.Contains(name, "/") {
		mistakes = append(mistakes, fmt.Errorf("GITHUB_REPOSITORY is %q; set it to owner/name", s.Repository))
	}
	if at, err := url.Parse(s.APIURL); err != nil || at.Host == "" {
		mistakes = append(mistakes, fmt.Errorf("GITHUB_API_URL is %q; set it to a URL such as https://api.github.com", s.APIURL))
	}
	if server, run := get("GITHUB_SERVER_URL"), get("GITHUB_RUN_ID"); server != "" && run != "" {
		s.Rest = fmt.Sprintf("[the run](%s/%s/actions/runs/%s)", server, s.Repository, run)
	}
	return s, errors.Join(mistakes...)
}

// Client talks to GitHub about one repository.
type Client struct {
	api         *gogithub.Client
	owner, name string
	rest        string
	self        *string // who the token is, once it has been asked; "" is an app, which has no user
}

// New makes a client. The settings are as SettingsFrom accepts them.
func New(s Settings) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(s.APIURL, "/") + "/")
	if err != nil {
		return nil, fmt.Errorf("the URL of GitHub's API: %w", err)
	}
	api := gogithub.NewClient(&http.Client{Timeout: time.Minute}).WithAuthToken(s.Token)
	api.BaseURL = base
	c := &Client{api: api, rest: s.Rest}
	c.owner, c.name, _ = strings.Cut(s.Repository, "/")
	return c, nil
}

// Action says how something was kept up to date.
type Action string

// The actions.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Reopened  Action = "reopened"
	Closed    Action = "closed"
	Unchanged Action = "unchanged" // it was up to date, or need not be there
)

// Result is the comment, issue or pull request that was kept up to date.
type Result struct {
	Action Action
	// Number is that of the pull request or issue, 0 if there is none.
	Number int
	// URL is where people see it.
	URL string
}

// sign returns the hidden first line by which the pipeline recognises its own texts.
func sign(marker string) (string, error) {
	if marker == "" || strings.ContainsAny(marker, "\r\n") || strings.Contains(marker, "--") {
		return "", fmt.Errorf("%q cannot be hidden in an HTML comment; use words with single hyphens", marker)
	}
	return "<!-- " + marker + " -->", nil
}

// wrote reports whether the pipeline has written a text: the text begins with its sign, and its
// author is a bot or the owner of the token. So a person who quotes or forges such a text does not
// pass for the pipeline.
func (c *Client) wrote(ctx context.Context, author *gogithub.User, body, signature string) (bool, error) {
	if !strings.HasPrefix(body, signature) {
		return false, nil
	}
	if author.GetType() == "Bot" {
		return true, nil
	}
	if c.self == nil {
		user, _, err := c.api.Users.Get(ctx, "")
		if err != nil && !refused(err, http.StatusForbidden) { // an app, such as a workflow's token, is no user
			return false, c.explain("ask GitHub whose token this is", "", err)
		}
		login := user.GetLogin()
		c.self = &login
	}
	return *c.self != "" && author.GetLogin() == *c.self, nil
}

// equal compares texts as GitHub keeps them.
func equal(a, b string) bool {
	clean := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
	return clean(a) == clean(b)
}

// pages goes through a list that GitHub answers page by page.
func pages[T any](list func(at gogithub.ListOptions) ([]T, *gogithub.Response, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		at := gogithub.ListOptions{PerPage: 100}
		for {
			items, response, err := list(at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if response.NextPage == 0 {
				return
			}
			at.Page = response.NextPage
		}
	}
}

func refused(err error, statuses ...int) bool {
	answer := (*gogithub.ErrorResponse)(nil)
	if !errors.As(err, &answer) || answer.Response == nil {
		return false
	}
	for _, status := range statuses {
		if answer.Response.StatusCode == status {
			return true
		}
	}
	return false
}

// explain says what to do about a refusal. permission is that of a workflow's job, such as "issues:
// write".
func (c *Client) explain(doing, permission string, err error) error {
	if err == nil {
		return nil
	}
	remedy := ""
	switch {
	case refused(err, http.StatusUnauthorized):
		remedy = "; GITHUB_TOKEN is refused, take one that is valid"
	case permission != "" && refused(err, http.StatusForbidden, http.StatusNotFound):
		remedy = fmt.Sprintf("; the token needs the permission %s in %s/%s", permission, c.owner, c.name)
	}
	return fmt.Errorf("%s%s: %w", doing, remedy, err)
}
