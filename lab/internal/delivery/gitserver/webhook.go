package gitserver

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	// deliveryTimeout is the time that GitHub, too, waits for a receiver.
	deliveryTimeout = 10 * time.Second
	// mostDue is how many webhooks may be due before a push has to wait for the receiver.
	mostDue = 256
	// nothing replaces the commit of a branch that does not exist.
	nothing = "0000000000000000000000000000000000000000"
)

type webhook struct{ url, secret string }

// SetWebhook makes the server announce each later push to a URL, such as Argo CD's /api/webhook,
// with GitHub's event "push" and, if a secret is given, its signature. An empty URL switches that
// off.
func (s *Server) SetWebhook(url, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = webhook{url, secret}
}

// Delivery is the result of one webhook. There is one for each branch that a push changed; like
// GitHub, the server does not try again.
type Delivery struct {
	// ID is the X-GitHub-Delivery that was sent.
	ID string
	// Ref is the branch, as refs/heads/main.
	Ref string
	// Before and After are the branch's commits before and after the push, all zeros if the branch
	// did not or does not exist.
	Before, After string
	// Status is the receiver's answer, 0 without one.
	Status int
	// Took is the time from the end of the push to the answer.
	Took time.Duration
	// Err is why the receiver did not accept it, nil if it did.
	Err error
}

// notice is a webhook to deliver.
type notice struct {
	hook  webhook
	event pushEvent
	at    time.Time
}

// pushEvent is the part of GitHub's event "push" that receivers read. Argo CD compares the branch
// and html_url (to which it adds an optional port and .git) with each Application's source. It
// compares the files with the Application's annotation argocd.argoproj.io/manifest-generate-paths.
type pushEvent struct {
	Ref        string          `json:"ref"`
	Before     string          `json:"before"`
	After      string          `json:"after"`
	Created    bool            `json:"created"`
	Deleted    bool            `json:"deleted"`
	Commits    []eventCommit   `json:"commits"`
	HeadCommit *eventCommit    `json:"head_commit"`
	Repository eventRepository `json:"repository"`
}

type eventRepository struct {
	Name          string `json:"name"`
	FullName      string `json:"full_name"`
	HTMLURL       string `json:"html_url"`
	CloneURL      string `json:"clone_url"`
	DefaultBranch string `json:"default_branch"`
}

type eventCommit struct {
	ID        string    `json:"id"`
	Message   string    `json:"message"`
	Timestamp string    `json:"timestamp"` // RFC 3339
	Author    eventUser `json:"author"`
	Added     []string  `json:"added"`
	Removed   []string  `json:"removed"`
	Modified  []string  `json:"modified"`
}

type eventUser struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// announce tells of each branch whose commit has changed, and queues a webhook for it.
func (s *Server) announce(ctx context.Context, before, after map[string]string) error {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook.url == "" && s.options.Pushed == nil {
		return nil
	}
	branches := map[string]bool{}
	for _, at := range []map[string]string{before, after} {
		for branch := range at {
			branches[branch] = before[branch] != after[branch]
		}
	}
	for _, branch := range slices.Sorted(maps.Keys(branches)) {
		if !branches[branch] {
			continue
		}
		event := pushEvent{
			Ref: branch, Before: cmp.Or(before[branch], nothing), After: cmp.Or(after[branch], nothing),
			Created: before[branch] == "", Deleted: after[branch] == "", Commits: []eventCommit{},
			Repository: eventRepository{
				Name: name, FullName: name + "/" + name, HTMLURL: s.page(), CloneURL: s.URL(), DefaultBranch: s.options.Branch,
			},
		}
		if !event.Deleted {
			var err error
			if event.Commits, err = s.commits(ctx, after[branch], slices.Collect(maps.Values(before))); err != nil {
				return err
			}
			if len(event.Commits) > 0 {
				event.HeadCommit = &event.Commits[len(event.Commits)-1]
			}
		}
		if s.options.Pushed != nil && branch == "refs/heads/"+s.options.Branch {
			s.options.Pushed(commitsOf(event))
		}
		if hook.url == "" {
			continue
		}
		select {
		case s.notices <- notice{hook, event, time.Now()}:
		case <-s.running.Done():
			return context.Cause(s.running)
		}
	}
	return nil
}

func commitsOf(event pushEvent) []PushedCommit {
	var all []PushedCommit
	for _, c := range event.Commits {
		all = append(all, PushedCommit{c.ID, c.Message, slices.Concat(c.Added, c.Removed, c.Modified)})
	}
	return all
}

// commits describes the commits that lead to one, the oldest first, without those that lead to
// others.
func (s *Server) commits(ctx context.Context, to string, others []string) ([]eventCommit, error) {
	listed, err := s.git.run(ctx, s.dir(), nil, slices.Concat([]string{"rev-list", "--reverse", to, "--not"}, others)...)
	if err != nil {
		return nil, err
	}
	described := []eventCommit{}
	for _, id := range strings.Fields(listed) {
		text, err := s.git.run(ctx, s.dir(), nil, "show", "--no-patch", "--format=%aI%x00%an%x00%ae%x00%B", id)
		if err != nil {
			return nil, err
		}
		said := strings.SplitN(text, "\x00", 4)
		if len(said) != 4 {
			return nil, fmt.Errorf("git describes the commit %s as %q", id, text)
		}
		c := eventCommit{
			ID: id, Timestamp: said[0], Author: eventUser{said[1], said[2]}, Message: strings.TrimSpace(said[3]),
			Added: []string{}, Removed: []string{}, Modified: []string{},
		}
		changed, err := s.git.run(ctx, s.dir(), nil,
			"diff-tree", "--root", "--no-commit-id", "--no-renames", "--name-status", "-r", "-z", id)
		if err != nil {
			return nil, err
		}
		for change := range slices.Chunk(strings.Split(strings.TrimSuffix(changed, "\x00"), "\x00"), 2) {
			if len(change) != 2 {
				continue // a commit without changes
			}
			switch change[0] {
			case "A":
				c.Added = append(c.Added, change[1])
			case "D":
				c.Removed = append(c.Removed, change[1])
			default:
				c.Modified = append(c.Modified, change[1])
			}
		}
		described = append(described, c)
	}
	return described, nil
}

// deliver sends webhooks until ctx ends, one after the other, so that a receiver gets pushes in
// their order.
func (s *Server) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-s.notices:
			d := Delivery{ID: uuid.NewString(), Ref: n.event.Ref, Before: n.event.Before, After: n.event.After}
			d.Status, d.Err = post(ctx, n.hook, n.event, d.ID)
			d.Took = time.Since(n.at)
			if d.Err != nil {
				s.log.Printf("webhook %s for %s of %s: %v", d.ID, d.After, d.Ref, d.Err)
			}
			if s.options.Delivered != nil {
				s.options.Delivered(d)
			}
		}
	}
}

func post(ctx context.Context, hook webhook, event pushEvent, id string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	body, err := json.Marshal(event)
	if err != nil {
		return 0, fmt.Errorf("write the event: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.url, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "GitHub-Hookshot/lab")
	request.Header.Set("X-GitHub-Event", "push")
	request.Header.Set("X-GitHub-Delivery", id)
	if hook.secret != "" {
		signature := hmac.New(sha256.New, []byte(hook.secret))
		signature.Write(body)
		request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(signature.Sum(nil)))
	}
	// After a restart of the receiver a kept connection would be dead, and the webhook sent on it
	// lost.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("no answer: %w", err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return response.StatusCode, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return response.StatusCode, errors.New("the receiver answers " + response.Status + ": " + strings.TrimSpace(string(said)))
	}
	return response.StatusCode, nil
}
