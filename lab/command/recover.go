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

func recoverCommand() *cobra.Command {
	return &cobra.Command{
		Use: "recover", Short: "Make the states agree with what is there, after a kill or a loss",
		Args: cobra.NoArgs, RunE: at(recoverStates),
		Long: `Waits for what a killed command has left running, releases the locks that no process holds, has every state forget what
is gone, and adopts by import what is in the simulated Azure and in the program, but in no state. Helm's records of unfinished
work are deleted, and a soft-deleted key vault is recovered, or purged when nothing else is left; nothing is created, updated or
replaced. up goes on from there. docs/recovery.md tells how to do the same with a real Azure.`,
		Example: "  bin/lab recover\n  bin/lab recover -s test",
	}
}

// recoverStates repairs the states in one command after a command was killed, a state was lost or a
// person worked by hand.
func recoverStates(cmd *cobra.Command, s site.Site) error {
	return working(cmd, s, func(ctx context.Context, display *progress.Display) error {
		adopted, strangers, err := world.Recover(ctx, s, display)
		display.Stop()
		if err != nil {
			return err
		}
		for _, id := range adopted {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "adopted %s\n", id); err != nil {
				return err
			}
		}
		if err := unclaimed(strangers); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "The states agree with what is there. `%s` goes on from here.\n",
			s.Command("up"))
		return err
	})
}

// unclaimed reports resources in Azure that neither a state nor the program has.
func unclaimed(strangers []azure.Resource) error {
	problems := make([]error, len(strangers))
	for i, r := range strangers {
		problems[i] = fmt.Errorf("%s is in no state, and the program has no such resource; delete it in Azure, which `lab down` does here",
			r.ID)
	}
	return errors.Join(problems...)
}
