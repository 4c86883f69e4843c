package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/pipeline/internal/workflows"
)

func workflowsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "workflows", Short: "Check the workflows: pins, permissions, scripts", Args: noArgs,
		Long: `Checks the workflows of the checkout for what actionlint does not look at: every action of somebody else's is pinned by the
hash of a commit, permissions are the least, no script takes in what strangers write, and no update of an environment is cancelled.`,
		Example: "  go run ./pipeline workflows",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := workflows.Check("."); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "The workflows are as they should be.")
			return err
		},
	}
}
