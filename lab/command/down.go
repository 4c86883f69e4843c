package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

func downCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "down", Short: "Destroy an environment and stop everything that it ran", Args: cobra.NoArgs, RunE: at(down),
		Example: "  bin/lab down\n  bin/lab down --keep-running",
	}
	cmd.Flags().Bool(keepRunning, false, "leave the simulated Azure and the control plane running, for the next up")
	return cmd
}

// keepRunning is the flag of down that leaves the simulated Azure and the control plane running.
const keepRunning = "keep-running"

// down destroys the environment and stops every process of it. What is not finished stays, so that
// down can go on later.
func down(cmd *cobra.Command, s site.Site) error {
	keep, err := cmd.Flags().GetBool(keepRunning)
	if err != nil {
		return err
	}
	return working(cmd, s, func(ctx context.Context, display *progress.Display) error {
		// A killed preview could not clean up after itself.
		if err := world.DiscardAbandoned(ctx, s); err != nil {
			return err
		}
		if !s.Exists() {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is not up; nothing to do.\n", s.Environment)
			return err
		}
		results, left, err := world.Down(ctx, s, display, keep)
		display.Stop()
		if err != nil {
			return err
		}
		if err := resultTable(cmd.OutOrStdout(), s.Environment, results); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "\nThe simulated Azure has %d resources left.\n", len(left)); err != nil {
			return err
		}
		return orphaned(left)
	})
}

// orphaned reports resources that no stack tracks. Here they vanish with the simulated Azure; in
// real Azure they would stay, and cost money.
func orphaned(left []azure.Resource) error {
	problems := make([]error, len(left))
	for i, r := range left {
		problems[i] = fmt.Errorf("no stack knew of %s: an engine that was killed while it created it leaves such an orphan", r.ID)
	}
	return errors.Join(problems...)
}
