package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/gridos/sharedinfra/internal/pulumicli"
	"github.com/gridos/sharedinfra/stacks"
)

// UpOne brings one project of the environment up, with as many resources at once as parallel says; 0 leaves that to the CLI,
// which goes by the number of processors. The projects that it reads must be up.
func (e *Engine) UpOne(ctx context.Context, project stacks.Project, overrides Overrides, parallel int) (Result, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return Result{}, err
	}
	do := upOperation(overrides)
	do.run = func(ctx context.Context, s auto.Stack, w *watcher) (map[string]int, error) {
		return upParallel(ctx, s, w, parallel)
	}
	return e.show(ctx, e.site.Environment+" "+p.Name+" up", do, p)
}

// State returns the resources in the state of a project, in the order in which they were registered.
func (e *Engine) State(ctx context.Context, project stacks.Project) ([]apitype.ResourceV3, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return nil, err
	}
	return askOne(ctx, e, p, func(ctx context.Context, s auto.Stack) ([]apitype.ResourceV3, error) {
		state, err := s.Export(ctx)
		if err != nil {
			return nil, err
		}
		return pulumicli.Resources(state)
	})
}

// OpenState returns the resources in the state of a project with what is secret in clear text: as objects with the key plaintext, whose
// value is JSON. It is for comparing; nobody must write it anywhere.
func (e *Engine) OpenState(ctx context.Context, project stacks.Project) ([]apitype.ResourceV3, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return nil, err
	}
	return askOne(ctx, e, p, func(ctx context.Context, s auto.Stack) ([]apitype.ResourceV3, error) {
		text, err := command(ctx, s, nil, "stack", "export", "--show-secrets")
		if err != nil {
			return nil, fmt.Errorf("export the state of %s: %w", s.Name(), err)
		}
		var state apitype.UntypedDeployment
		if err := json.Unmarshal([]byte(text), &state); err != nil {
			return nil, fmt.Errorf("the exported state of %s is malformed: %w", s.Name(), err)
		}
		return pulumicli.Resources(state)
	})
}

func (e *Engine) partNamed(project stacks.Project) (part, error) {
	for _, p := range line() {
		if p.Project == project {
			if program, ok := e.standIns[p.Name]; ok {
				p.program = program
			}
			return p, nil
		}
	}
	return part{}, fmt.Errorf("there is no project %q; it must be one of the package stacks", project.Name)
}
