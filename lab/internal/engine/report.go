package engine

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/stacks"
)

// Report plans every project of an environment that is up, and reports what would change. It plans
// the projects at once. Each gets the present outputs of the stacks before it, as in a preview
// against a real environment. A change of an output reaches the next project only by an update.
func (e *Engine) Report(ctx context.Context, overrides Overrides) (changes.Report, error) {
	report := changes.Report{Environment: e.site.Environment, Projects: make([]changes.Project, len(line()))}
	group, ctx := errgroup.WithContext(ctx)
	for i, p := range line() {
		group.Go(func() error {
			project, err := e.reportOne(ctx, overrides, p)
			var failure *Failure
			if errors.As(err, &failure) { // a project that cannot be planned must not hide the others
				project, err = changes.Project{Name: p.Name, Error: failure.Error()}, nil
			}
			report.Projects[i] = project
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return report, err
	}
	now := time.Now()
	return report, errors.Join(report.Price(now), report.CheckSupport(now))
}

func (e *Engine) reportOne(ctx context.Context, overrides Overrides, p part) (changes.Project, error) {
	var collector changes.Collector
	do := previewOperation(overrides)
	do.see = collector.See
	if _, err := e.one(ctx, do, p); err != nil {
		return changes.Project{}, err
	}
	state, err := e.State(ctx, p.Project)
	if err != nil {
		return changes.Project{}, err
	}
	return collector.Project(p.Name, state.Resources), nil
}

// UpdateOne brings one project of an environment that is up to date, and reports what that changed.
func (e *Engine) UpdateOne(ctx context.Context, project stacks.Project, overrides Overrides) (Result, changes.Project, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return Result{}, changes.Project{}, err
	}
	var collector changes.Collector
	do := upOperation(overrides)
	do.see = collector.See
	result, err := e.one(ctx, do, p)
	if err != nil {
		return result, changes.Project{}, err
	}
	state, err := e.State(ctx, project)
	if err != nil {
		return result, changes.Project{}, err
	}
	return result, collector.Project(p.Name, state.Resources), nil
}
