package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// Built are the programs of another commit, each as the commit's own main function runs it.
type Built struct {
	// Checkout is the folder with the commit's files. The configuration comes from its stack files.
	Checkout string
	// Programs are the paths of the programs, by project.
	Programs map[string]string
}

// UpBuilt brings the environment up, project by project, with the programs and the stack files of
// another commit. Everything else, such as the tools and the overrides, is this commit's.
func (e *Engine) UpBuilt(ctx context.Context, built Built, overrides Overrides) ([]Result, error) {
	var results []Result
	for _, p := range line() {
		result, err := e.upBuilt(ctx, built, overrides, p)
		if err != nil {
			return results, err
		}
		results = append(results, result)
	}
	return results, nil
}

func (e *Engine) upBuilt(ctx context.Context, built Built, overrides Overrides, p part) (result Result, err error) {
	program, ok := built.Programs[p.Name]
	if !ok {
		return result, fmt.Errorf("%s has no program of %s; build it", built.Checkout, p.Name)
	}
	host, err := serveLanguage(ctx, "the language host of "+p.Name, languageHost{program: program})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, host.stop()) }()
	do := upOperation(overrides)
	do.stack = func(ctx context.Context, e *Engine, p part) (auto.Stack, bool, error) {
		from := e.site
		from.Repository = built.Checkout
		secrets, err := copyFiles(from, p.Project, overrides[p.Name])
		if err == nil {
			err = host.attach(e.site.WorkDir(p.Name), e.site.WorkDir(p.Name))
		}
		if err != nil {
			return auto.Stack{}, false, err
		}
		stack, err := auto.UpsertStackLocalSource(ctx, e.site.Environment, e.site.WorkDir(p.Name), e.operating(p.Name)...)
		if err == nil && len(secrets) > 0 {
			err = stack.SetAllConfigWithOptions(ctx, secrets, &auto.ConfigOptions{Path: true})
		}
		return stack, err == nil, err
	}
	return e.one(ctx, do, p)
}
