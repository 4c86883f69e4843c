package engine

import (
	"context"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/stacks"
)

// StandIn replaces the project's own program in UpOne for the life of the engine.
// With it a measurement gives a project upstream stacks that cost nothing, or compares it with a
// program that does nothing else.
func (e *Engine) StandIn(project stacks.Project, program pulumi.RunFunc) {
	if e.standIns == nil {
		e.standIns = map[string]pulumi.RunFunc{}
	}
	e.standIns[project.Name] = program
}

// Exporting returns a program that exports outputs, with the version of the contract, and registers
// nothing.
func Exporting(outputs map[string]pulumi.Input) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		for key, value := range outputs {
			ctx.Export(key, value)
		}
		ctx.Export("contractVersion", pulumi.Int(stacks.ContractVersion))
		return nil
	}
}

// PreviewAgain plans one project with the configuration of the operation before. Without a stack
// there is nothing to plan.
func (e *Engine) PreviewAgain(ctx context.Context, project stacks.Project) (Result, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return Result{}, err
	}
	do := operation{verb: "preview", run: previewWith(0), stack: asItIs}
	return e.show(ctx, e.site.Environment+" "+p.Name+" preview", do, p)
}
