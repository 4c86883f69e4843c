package engine

import (
	"context"
	"fmt"

	"github.com/gridos/sharedinfra/stacks"
)

// UpOne brings one project of the environment up. parallel is the number of resources at once; 0
// leaves it to the CLI, which derives it from the number of processors. The projects that it reads
// must be up.
func (e *Engine) UpOne(ctx context.Context, project stacks.Project, overrides Overrides, parallel int) (Result, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return Result{}, err
	}
	do := upOperation(overrides)
	do.run = upWith(parallel)
	return e.show(ctx, e.site.Environment+" "+p.Name+" up", do, p)
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
