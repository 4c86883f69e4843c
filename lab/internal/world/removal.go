package world

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// Down destroys the environment, and stops and removes all its processes and files, or leaves the
// background process running. What is not finished stays, so that Down can go on later. Left are
// the resources that the simulated Azure still has at the end.
func Down(ctx context.Context, s site.Site, display *progress.Display, keepRunning bool,
) (results []engine.Result, left []azure.Resource, err error) {
	m := newMachine(s, display)
	if err := m.prepare(ctx, deliveryToRemove); err != nil {
		return nil, nil, err
	}
	// Down needs neither the stacks' files nor the chart repository: a mistake there must not keep
	// anything up.
	e, err := m.startToDestroy(ctx)
	if err != nil {
		return nil, nil, err
	}
	// Destroying runs no program, so no other step waits for a cluster that is just restarting.
	if err := daemon.WaitForCluster(ctx, s); err != nil {
		return nil, nil, err
	}
	if results, err = e.Down(ctx); err != nil {
		return nil, nil, err
	}
	if left, err = leftInAzure(ctx, s); err != nil {
		return nil, nil, err
	}
	if keepRunning {
		return results, left, m.purge(ctx)
	}
	step := display.Start("background process stop")
	if err := Discard(ctx, s); err != nil {
		step.Fail(err)
		return nil, nil, err
	}
	step.Done("")
	return results, left, nil
}

// DiscardAbandoned removes the sites of previews that were killed before they could do it
// themselves.
func DiscardAbandoned(ctx context.Context, s site.Site) error {
	abandoned, err := s.Abandoned()
	if err != nil {
		return err
	}
	for _, preview := range abandoned {
		if err := Discard(ctx, preview); err != nil {
			return err
		}
	}
	return nil
}

// Discard stops the processes of a site and removes it.
func Discard(ctx context.Context, s site.Site) error {
	if err := daemon.Stop(ctx, s); err != nil {
		return err
	}
	return s.Remove()
}

// startToDestroy is start for Down. If an engine was killed, it first deletes the resources that no
// state tracks. Importing them instead would require valid stack files, and Down must work without.
func (m *machine) startToDestroy(ctx context.Context) (*engine.Engine, error) {
	e, err := m.start(ctx)
	if err != nil {
		return nil, err
	}
	killed, err := e.Killed()
	if err != nil || !killed {
		return e, err
	}
	step := m.display.Start("orphans of a killed engine")
	removed, err := m.removeOrphans(ctx, e)
	if err != nil {
		step.Fail(err)
		return nil, fmt.Errorf("remove what a killed engine left in the simulated Azure: %w", err)
	}
	step.Done(fmt.Sprintf("%d removed", removed))
	return e, nil
}

// removeOrphans deletes the resources that no state tracks, and returns their number.
func (m *machine) removeOrphans(ctx context.Context, e *engine.Engine) (removed int, err error) {
	if err := m.awaitAzure(ctx); err != nil {
		return 0, err
	}
	known, err := e.AzureIDs(ctx)
	if err != nil {
		return 0, err
	}
	orphans, err := unknownTo(ctx, known, m.site)
	if err != nil || len(orphans) == 0 {
		return 0, err
	}
	control, err := daemon.Control(m.site)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	slices.SortFunc(orphans, func(a, b azure.Resource) int { return len(b.ID) - len(a.ID) }) // children before their parents
	for _, r := range orphans {
		if err := control.Forget(ctx, r.ID); err != nil {
			return 0, err
		}
	}
	return len(orphans), nil
}

// endRemoval purges the soft-deleted vault when a removal was stopped after its last resource.
// Nothing needs its secrets any more, and its name would block the next Up.
func (m *machine) endRemoval(ctx context.Context) error {
	if err := m.awaitAzure(ctx); err != nil {
		return err
	}
	left, err := leftInAzure(ctx, m.site)
	if err != nil || len(left) > 0 {
		return err
	}
	return m.purge(ctx)
}

// purge purges the soft-deleted vaults, because each would block its name for the next Up.
func (m *machine) purge(ctx context.Context) error {
	control, err := daemon.Control(m.site)
	if err != nil {
		return err
	}
	return errors.Join(control.Purge(ctx), control.Close())
}

// leftInAzure returns the resources that the simulated Azure still has.
func leftInAzure(ctx context.Context, s site.Site) ([]azure.Resource, error) {
	control, err := daemon.Control(s)
	if err != nil {
		return nil, err
	}
	all, err := control.Inventory(ctx)
	return azure.Unseeded(all), errors.Join(err, control.Close())
}

// unknownTo returns the resources, made by a deployment or by hand, that are not among the known
// ids.
func unknownTo(ctx context.Context, known []string, s site.Site) ([]azure.Resource, error) {
	left, err := leftInAzure(ctx, s)
	return without(known, left), err
}

// without returns the resources that none of the ids names.
func without(ids []string, resources []azure.Resource) []azure.Resource {
	return slices.DeleteFunc(slices.Clone(resources), func(r azure.Resource) bool {
		return slices.ContainsFunc(ids, func(id string) bool { return strings.EqualFold(id, r.ID) }) // as ARM compares ids
	})
}
