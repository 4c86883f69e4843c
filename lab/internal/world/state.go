package world

import (
	"context"
	"errors"
	"fmt"

	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// Running returns an engine for an environment that is up.
func Running(s site.Site, display *progress.Display) (*engine.Engine, error) {
	record, up, err := s.Running()
	if err != nil {
		return nil, err
	}
	if !up {
		return nil, ErrNotUp(s)
	}
	return engine.New(s, record, display)
}

// ErrNotUp returns the error that the environment does not run.
func ErrNotUp(s site.Site) error {
	return fmt.Errorf("%s is not up; run `%s` first", s.Environment, s.Command("up"))
}

// Fulfilled returns an error for each deployment that Azure accepts in silence although it cannot
// work.
func Fulfilled(ctx context.Context, s site.Site) error {
	control, err := daemon.Control(s)
	if err != nil {
		return err
	}
	reasons, err := control.Unfulfilled(ctx)
	broken := []error{err, control.Close()}
	for _, why := range reasons {
		broken = append(broken, fmt.Errorf("Azure would accept this, and it would not work: %s", why))
	}
	return errors.Join(broken...)
}

// inAzure counts the deployment's resources in the simulated Azure, and names those that no state
// tracks.
func inAzure(ctx context.Context, s site.Site, e *engine.Engine) (resources int, unknown []string, err error) {
	known, err := e.AzureIDs(ctx)
	if err != nil {
		return 0, nil, err
	}
	all, err := leftInAzure(ctx, s)
	if err != nil {
		return 0, nil, err
	}
	for _, r := range without(known, all) {
		unknown = append(unknown, r.ID)
	}
	return len(all), unknown, nil
}
