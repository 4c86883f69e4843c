package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
)

// quiet is how long after a notification the next one that says the same would have come: a change
// of an object makes a controller look at it again at once.
const quiet = 2 * time.Second

// told waits until the lab's receiver has been told of an event of the application and a revision.
// The error says that it was not, or more than once, or with a wrong link.
func (s *Stage) told(ctx context.Context, event, revision string) error {
	return s.toldTimes(ctx, 1, event, revision)
}

// toldTimes is told for an event that a controller sends several times.
func (s *Stage) toldTimes(ctx context.Context, times int, event, revision string) error {
	what := fmt.Sprintf("people are told %s of %s", event, revision)
	s.options.Detail("waiting until " + what)
	var seen []gitops.Notification
	look := func(ctx context.Context) (bool, error) {
		all, err := s.options.Lab.Notifications(ctx)
		seen = nil
		for _, n := range all {
			if n.Application == s.application() && n.Event == event && n.Revision == revision && n.At.After(s.began) {
				seen = append(seen, n)
			}
		}
		return len(seen) > 0, err
	}
	limited, cancel := soon(ctx)
	defer cancel()
	if err := eventually(limited, what, look); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(quiet):
	}
	if _, err := look(ctx); err != nil {
		return err
	}
	if len(seen) != times {
		return fmt.Errorf("%s %d times, and should be %d", what, len(seen), times)
	}
	link := "/applications/argocd/" + s.application()
	if n := seen[0]; n.Environment != s.options.Environment || !strings.HasPrefix(n.URL, "https://") || !strings.HasSuffix(n.URL, link) {
		return fmt.Errorf("%s in %s with a link to %s, and should be in %s with one to %s",
			what, n.Environment, n.URL, s.options.Environment, link)
	}
	s.say("told", event+" "+revision)
	return nil
}
