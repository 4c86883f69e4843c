package engine

import (
	"context"
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	apps "github.com/gridos/sharedinfra/apps/program"
	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	infra "github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/published"
	"github.com/gridos/sharedinfra/stacks"
)

// part is a project with the program that its main function runs, and with the program's check of
// its configuration.
type part struct {
	stacks.Project
	program pulumi.RunFunc
	check   func(r *config.Reader, environment string) error
}

// line returns the projects in the order in which they go up.
func line() []part {
	return []part{
		{stacks.Infra, infra.Program, func(r *config.Reader, environment string) error {
			_, err := infra.Load(r, environment)
			return err
		}},
		{stacks.Bootstrap, bootstrap.Program, func(r *config.Reader, environment string) error {
			_, err := bootstrap.Load(r, environment)
			return err
		}},
		{stacks.Apps, apps.Program, func(r *config.Reader, environment string) error {
			_, err := apps.Load(r, environment)
			return err
		}},
		{stacks.Published, published.Program, func(r *config.Reader, environment string) error {
			_, err := published.Load(r, environment)
			return err
		}},
	}
}

// CheckConfiguration reads the files of every project as the CLI would, and returns all mistakes in
// all of them. The CLI itself stops at the first value of a wrong type, and starts a program before
// it reads the next project.
func CheckConfiguration(ctx context.Context, s site.Site) error {
	var mistakes []error
	for _, p := range line() {
		values, err := projectfile.Config(ctx, s.ProjectDir(p.Directory), s.Environment)
		if err == nil {
			err = p.check(config.FromMap(p.Name, s.Environment, values), s.Environment)
		}
		mistakes = append(mistakes, err)
	}
	return errors.Join(mistakes...)
}
