package engine

import (
	"context"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/stacks"
)

// StandIn replaces the project's own program in UpOne and PreviewOne for the life of the engine.
// With it a measurement gives a project upstream stacks that cost nothing, or compares it with a
// program that does nothing else.
func (e *Engine) StandIn(project stacks.Project, program pulumi.RunFunc) {
	if e.standIns == nil {
		e.standIns = map[string]pulumi.RunFunc{}
	}
	e.standIns[project.Name] = program
}

// Exporting returns a program that exports outputs, with the version of the contract, and registers nothing.
func Exporting(outputs map[string]pulumi.Input) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		for key, value := range outputs {
			ctx.Export(key, value)
		}
		ctx.Export("contractVersion", pulumi.Int(stacks.ContractVersion))
		return nil
	}
}

// PreviewOne plans one project of the environment as UpOne would bring it up.
func (e *Engine) PreviewOne(ctx context.Context, project stacks.Project, overrides Overrides, parallel int) (Result, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return Result{}, err
	}
	do := previewOperation(overrides)
	do.run = func(ctx context.Context, s auto.Stack, w *watcher) (map[string]int, error) {
		return previewParallel(ctx, s, w, parallel)
	}
	return e.show(ctx, e.site.Environment+" "+p.Name+" preview", do, p)
}

// PreviewAgain plans one project with the configuration of the operation before. Without a stack
// there is nothing to plan.
func (e *Engine) PreviewAgain(ctx context.Context, project stacks.Project) (Result, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return Result{}, err
	}
	do := operation{verb: "preview", run: previewOne, stack: asItIs}
	return e.show(ctx, e.site.Environment+" "+p.Name+" preview", do, p)
}

func previewParallel(ctx context.Context, s auto.Stack, w *watcher, parallel int) (map[string]int, error) {
	result, err := s.Preview(ctx, optpreview.EventStreams(w.events()), optpreview.ProgressStreams(w.log),
		optpreview.ErrorProgressStreams(w.log), optpreview.SuppressOutputs(), optpreview.Parallel(parallel))
	changes := make(map[string]int, len(result.ChangeSummary))
	for op, n := range result.ChangeSummary {
		changes[string(op)] = n
	}
	return changes, err
}
