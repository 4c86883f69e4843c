package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout"
)

func manifestsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "manifests", Short: "Show what this branch changes in the objects of an environment's overlay",
		Long: `Renders the environment's overlay of the application as it is in the working tree, and as it was in the commit that the
branch starts from, and shows which objects in the cluster differ: what is dangerous first. It needs no cluster and no credentials, and it
previews no stack: for a change of the programs or of the stacks' configuration there is bin/lab diff.`,
		Example: "  go run ./pipeline manifests -s prod --base main\n" +
			"  go run ./pipeline manifests -s prod --base HEAD^1 --json >prod.json",
	}
	base := cmd.Flags().String("base", "", "the branch, tag or commit that the change goes to (required)")
	return onStack(cli.WithJSON(cmd), func(cmd *cobra.Command, environment string) (err error) {
		ctx := cmd.Context()
		if *base == "" {
			return cli.UsageError{Err: errors.New("say with --base what the manifests are compared with, such as main")}
		}
		here, err := checkout.Open(ctx, ".")
		if err != nil {
			return err
		}
		start, err := here.Start(ctx, *base)
		if err != nil {
			return err
		}
		before, err := here.Worktree(ctx, start)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, before.Close(ctx)) }()
		report := changes.Report{Environment: environment, Base: start[:7], ManifestsAlone: true}
		if err := report.Render(ctx, changes.Sides{Before: before.Dir, After: here.Root}); err != nil {
			return err
		}
		err = show(cmd, report)
		for _, overlay := range report.Rendered {
			if overlay.Note != "" { // what it would change is not known
				err = errors.Join(err, errors.New(overlay.Note))
			}
		}
		if err != nil {
			return err
		}
		return outcome(report)
	})
}
