// Package githubtest is a GitHub for tests, on the loopback interface: the part of its API that
// this repository's pipeline calls, with pages, but without permissions.
package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"unicode/utf8"

	gogithub "github.com/google/go-github/v74/github"

	"github.com/gridos/sharedinfra/pipeline/internal/github"
)

// Repository is the one that a GitHub has.
const Repository = "gridos/sharedinfra"

// Said is what GitHub says when a request fails because a test wants it to.
const Said = "broken on purpose"

// perPage is how much a page has at most, so that few items make several pages.
const perPage = 3

// Bot is the author of all that is written through the API.
var Bot = &gogithub.User{Login: gogithub.Ptr("github-actions[bot]"), Type: gogithub.Ptr("Bot")}

// GitHub is one. Its fields are for tests to fill and to read, while no request is under way.
type GitHub struct {
	// Comments are those of each pull request, Issues has pull requests too, as GitHub does.
	Comments map[int][]*gogithub.IssueComment
	Issues   []*gogithub.Issue
	Pulls    []*gogithub.PullRequest
	// OfCommit are the pull requests that GitHub lists for a commit.
	OfCommit map[string][]*gogithub.PullRequest
	// Files are the names of the files that each pull request changes.
	Files map[int][]string
	// Runs are those of workflows, and Jobs those of each run.
	Runs []*gogithub.WorkflowRun
	Jobs map[int64][]*gogithub.WorkflowJob
	// User is whose token it is; without one it is an app's.
	User *gogithub.User
	// Author is who writes through the API; nil is Bot.
	Author *gogithub.User
	// Requests are the methods and paths of all requests that wrote something.
	Requests []string
	// FailAt makes the nth request from now fail, and counts down to it; 0 and less is none.
	FailAt int
	// Settings are for the clients.
	Settings github.Settings

	mu sync.Mutex
}

// Start starts one, and stops it at the end of the test.
func Start(t *testing.T) *GitHub {
	t.Helper()
	g := &GitHub{Comments: map[int][]*gogithub.IssueComment{}, OfCommit: map[string][]*gogithub.PullRequest{}}
	mux := http.NewServeMux()
	const repo = "/repos/" + Repository
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, _ *http.Request) {
		if g.User == nil {
			refuse(w, http.StatusForbidden, "Resource not accessible by integration")
			return
		}
		answer(w, http.StatusOK, g.User)
	})
	mux.HandleFunc("GET "+repo+"/issues/{number}/comments", func(w http.ResponseWriter, r *http.Request) {
		page(w, r, g.Comments[number(r)])
	})
	mux.HandleFunc("POST "+repo+"/issues/{number}/comments", g.createComment)
	mux.HandleFunc("PATCH "+repo+"/issues/comments/{number}", g.editComment)
	mux.HandleFunc("GET "+repo+"/issues", func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("state") != "all" || q.Get("sort") != "created" || q.Get("direction") != "desc" {
			refuse(w, http.StatusNotImplemented, "only all issues, the newest first")
			return
		}
		newest := make([]*gogithub.Issue, 0, len(g.Issues))
		for i := range g.Issues {
			newest = append(newest, g.Issues[len(g.Issues)-1-i])
		}
		page(w, r, newest)
	})
	mux.HandleFunc("POST "+repo+"/issues", g.createIssue)
	mux.HandleFunc("PATCH "+repo+"/issues/{number}", g.editIssue)
	mux.HandleFunc("GET "+repo+"/commits/{sha}/pulls", func(w http.ResponseWriter, r *http.Request) {
		list, known := g.OfCommit[r.PathValue("sha")]
		if !known {
			refuse(w, http.StatusUnprocessableEntity, "No commit found for SHA: "+r.PathValue("sha"))
			return
		}
		page(w, r, list)
	})
	mux.HandleFunc("GET "+repo+"/pulls", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		var list []*gogithub.PullRequest
		for _, pr := range g.Pulls {
			head := pr.GetHead().GetRepo().GetOwner().GetLogin() + ":" + pr.GetHead().GetRef()
			if pr.GetState() == q.Get("state") && (q.Get("head") == "" || q.Get("head") == head) &&
				(q.Get("base") == "" || q.Get("base") == pr.GetBase().GetRef()) {
				list = append(list, pr)
			}
		}
		page(w, r, list)
	})
	mux.HandleFunc("GET "+repo+"/pulls/{number}", func(w http.ResponseWriter, r *http.Request) {
		for _, pr := range g.Pulls {
			if pr.GetNumber() == number(r) {
				answer(w, http.StatusOK, pr)
				return
			}
		}
		refuse(w, http.StatusNotFound, "Not Found")
	})
	mux.HandleFunc("GET "+repo+"/pulls/{number}/files", func(w http.ResponseWriter, r *http.Request) {
		var files []*gogithub.CommitFile
		for _, name := range g.Files[number(r)] {
			files = append(files, &gogithub.CommitFile{Filename: &name})
		}
		page(w, r, files)
	})
	mux.HandleFunc("GET "+repo+"/actions/workflows/{file}/runs", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, gogithub.WorkflowRuns{WorkflowRuns: g.Runs})
	})
	mux.HandleFunc("GET "+repo+"/actions/runs/{number}/jobs", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, gogithub.Jobs{Jobs: g.Jobs[int64(number(r))]})
	})
	mux.HandleFunc("POST "+repo+"/actions/jobs/{number}/rerun", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("POST "+repo+"/pulls", g.createPull)
	mux.HandleFunc("PATCH "+repo+"/pulls/{number}", g.editPull)
	const token = "of-a-test"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+token {
			refuse(w, http.StatusUnauthorized, "Bad credentials")
			return
		}
		if g.FailAt--; g.FailAt == 0 {
			refuse(w, http.StatusInternalServerError, Said)
			return
		}
		if r.Method != http.MethodGet {
			g.Requests = append(g.Requests, r.Method+" "+r.URL.Path)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.Settings = github.Settings{Token: token, Repository: Repository, APIURL: server.URL}
	return g
}

// Client returns a client of it.
func (g *GitHub) Client(t *testing.T) *github.Client {
	t.Helper()
	c, err := github.New(g.Settings)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Pull makes a pull request of a branch of a repository, which it does not add.
func Pull(number int, head, branch, sha, base string) *gogithub.PullRequest {
	owner := head[:len(head)-len("/sharedinfra")]
	return &gogithub.PullRequest{
		Number: &number, State: gogithub.Ptr("open"),
		HTMLURL: gogithub.Ptr(fmt.Sprintf("https://github.com/%s/pull/%d", Repository, number)),
		Head: &gogithub.PullRequestBranch{
			Ref: &branch, SHA: &sha, Repo: &gogithub.Repository{FullName: &head, Owner: &gogithub.User{Login: &owner}},
		},
		Base: &gogithub.PullRequestBranch{Ref: &base, Repo: &gogithub.Repository{FullName: gogithub.Ptr(Repository)}},
	}
}

func (g *GitHub) author() *gogithub.User {
	if g.Author != nil {
		return g.Author
	}
	return Bot
}

func (g *GitHub) createComment(w http.ResponseWriter, r *http.Request) {
	sent, ok := read[gogithub.IssueComment](w, r)
	if !ok || tooLong(w, sent.GetBody()) {
		return
	}
	pr := number(r)
	id := int64(1000*pr + len(g.Comments[pr]) + 1)
	created := &gogithub.IssueComment{
		ID: &id, Body: sent.Body, User: g.author(),
		HTMLURL: gogithub.Ptr(fmt.Sprintf("https://github.com/%s/pull/%d#issuecomment-%d", Repository, pr, id)),
	}
	g.Comments[pr] = append(g.Comments[pr], created)
	answer(w, http.StatusCreated, created)
}

func (g *GitHub) editComment(w http.ResponseWriter, r *http.Request) {
	sent, ok := read[gogithub.IssueComment](w, r)
	if !ok || tooLong(w, sent.GetBody()) {
		return
	}
	for _, comments := range g.Comments {
		for _, comment := range comments {
			if comment.GetID() == int64(number(r)) {
				comment.Body = sent.Body
				answer(w, http.StatusOK, comment)
				return
			}
		}
	}
	refuse(w, http.StatusNotFound, "Not Found")
}

func (g *GitHub) createIssue(w http.ResponseWriter, r *http.Request) {
	sent, ok := read[gogithub.IssueRequest](w, r)
	if !ok || tooLong(w, sent.GetBody()) {
		return
	}
	n := len(g.Issues) + 1
	created := &gogithub.Issue{
		Number: &n, State: gogithub.Ptr("open"), User: g.author(), Title: sent.Title, Body: sent.Body, Labels: labels(sent.GetLabels()),
		HTMLURL: gogithub.Ptr(fmt.Sprintf("https://github.com/%s/issues/%d", Repository, n)),
	}
	g.Issues = append(g.Issues, created)
	answer(w, http.StatusCreated, created)
}

func (g *GitHub) editIssue(w http.ResponseWriter, r *http.Request) {
	sent, ok := read[gogithub.IssueRequest](w, r)
	if !ok || tooLong(w, sent.GetBody()) {
		return
	}
	for _, issue := range g.Issues {
		if issue.GetNumber() != number(r) {
			continue
		}
		if sent.Title != nil {
			issue.Title = sent.Title
		}
		if sent.Body != nil {
			issue.Body = sent.Body
		}
		if sent.State != nil {
			issue.State = sent.State
		}
		if sent.Labels != nil {
			issue.Labels = labels(*sent.Labels)
		}
		answer(w, http.StatusOK, issue)
		return
	}
	refuse(w, http.StatusNotFound, "Not Found")
}

func (g *GitHub) createPull(w http.ResponseWriter, r *http.Request) {
	sent, ok := read[gogithub.NewPullRequest](w, r)
	if !ok || tooLong(w, sent.GetBody()) {
		return
	}
	for _, pr := range g.Pulls {
		if pr.GetState() == "open" && pr.GetHead().GetRef() == sent.GetHead() {
			refuse(w, http.StatusUnprocessableEntity, "A pull request already exists for "+sent.GetHead())
			return
		}
	}
	created := Pull(len(g.Pulls)+1, Repository, sent.GetHead(), "", sent.GetBase())
	created.Title, created.Body = sent.Title, sent.Body
	g.Pulls = append(g.Pulls, created)
	answer(w, http.StatusCreated, created)
}

func (g *GitHub) editPull(w http.ResponseWriter, r *http.Request) {
	sent, ok := read[gogithub.PullRequest](w, r)
	if !ok || tooLong(w, sent.GetBody()) {
		return
	}
	for _, pr := range g.Pulls {
		if pr.GetNumber() == number(r) {
			pr.Title, pr.Body = sent.Title, sent.Body
			answer(w, http.StatusOK, pr)
			return
		}
	}
	refuse(w, http.StatusNotFound, "Not Found")
}

func labels(names []string) []*gogithub.Label {
	list := make([]*gogithub.Label, 0, len(names))
	for _, name := range names {
		list = append(list, &gogithub.Label{Name: &name})
	}
	return list
}

func number(r *http.Request) int {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return -1
	}
	return n
}

// page answers one page of a list, with the address of the next in the header Link. Source:
// docs.github.com, "Using pagination in the REST API".
func page[T any](w http.ResponseWriter, r *http.Request, list []T) {
	at := 1
	if text := r.URL.Query().Get("page"); text != "" {
		var err error
		if at, err = strconv.Atoi(text); err != nil {
			refuse(w, http.StatusUnprocessableEntity, err.Error())
			return
		}
	}
	from, to := min((at-1)*perPage, len(list)), min(at*perPage, len(list))
	if to < len(list) {
		next := *r.URL
		q := next.Query()
		q.Set("page", strconv.Itoa(at+1))
		next.RawQuery = q.Encode()
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s>; rel="next"`, r.Host, next.String()))
	}
	answer(w, http.StatusOK, append([]T{}, list[from:to]...))
}

func tooLong(w http.ResponseWriter, body string) bool {
	if utf8.RuneCountInString(body) <= 65_536 {
		return false
	}
	refuse(w, http.StatusUnprocessableEntity, "body is too long (maximum is 65536 characters)")
	return true
}

func read[T any](w http.ResponseWriter, r *http.Request) (T, bool) {
	var sent T
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return sent, false
	}
	return sent, true
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message})
}

func answer(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone needs no answer
}
