package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/pipeline/internal/checks"
	"github.com/gridos/sharedinfra/pipeline/internal/workflows"
)

func workflowsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "workflows", Short: "Check the workflows: pins, permissions, scripts, and what the required checks end as", Args: cobra.NoArgs,
		Long: `Checks the workflows of the checkout for what actionlint does not look at: every action of another owner is pinned by the
hash of a commit, permissions are the least, no script takes in what strangers write, and no update of an environment is cancelled.
It also plays what GitHub does with them for each event, and for everything that can go wrong in it: a required check that ends green
without its work, or never ends, is a mistake. --table shows what was played.`,
		Example: "  go run ./pipeline workflows\n  go run ./pipeline workflows --table\n  go run ./pipeline workflows --table --json",
	}
	table := cmd.Flags().Bool("table", false, "print each event, the jobs that it begins, and what the required checks end as")
	asJSON := cmd.Flags().Bool("json", false, "print the table as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		repository, err := checks.Load(".")
		if err != nil {
			return err
		}
		if *table || *asJSON {
			return printTable(cmd.Context(), cmd.OutOrStdout(), repository, *asJSON)
		}
		if err := errors.Join(workflows.Check("."), repository.Check(cmd.Context())); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "The workflows are as they should be.")
		return err
	}
	return cmd
}

func printTable(ctx context.Context, out io.Writer, repository *checks.Repository, asJSON bool) error {
	rows, err := repository.Table(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(rows)
	}
	for _, row := range rows {
		if _, err := fmt.Fprint(out, row); err != nil {
			return err
		}
	}
	return nil
}
