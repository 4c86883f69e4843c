package command

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

// at is site.At, and says how to go on after an interruption.
func at(do func(cmd *cobra.Command, s site.Site) error) func(*cobra.Command, []string) error {
	return site.At(func(cmd *cobra.Command, s site.Site) error {
		err := do(cmd, s)
		if err != nil && cmd.Context().Err() != nil {
			return interruptedError{verb: cmd.Name(), site: s, err: err}
		}
		return err
	})
}

// working runs do while no other command works on the environment, with progress on standard error.
func working(cmd *cobra.Command, s site.Site, do func(ctx context.Context, display *progress.Display) error) (err error) {
	unlock, err := s.Lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	return do(cmd.Context(), display)
}

const gitOpsFlag = "gitops"

func withDelivery(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String(gitOpsFlag, string(world.DeliveryAsItIs),
		"run Argo CD, Argo Rollouts, a Git server, a registry and Prometheus too: yes, no, "+
			"or auto (if the programs can be had); as it was if not given")
	cmd.Flags().Lookup(gitOpsFlag).NoOptDefVal = string(world.DeliveryYes)
	return cmd
}

func deliveryOf(cmd *cobra.Command) (world.Delivery, error) {
	text, err := cmd.Flags().GetString(gitOpsFlag)
	if err != nil {
		return "", err
	}
	wanted := world.Delivery(text)
	if !slices.Contains([]world.Delivery{world.DeliveryAsItIs, world.DeliveryYes, world.DeliveryNo, world.DeliveryAuto}, wanted) {
		return "", cli.UsageError{Err: fmt.Errorf("--%s=%s: use yes, no or auto", gitOpsFlag, text)}
	}
	return wanted, nil
}

func expecting(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("expect-no-changes", false, "fail when a stack changes, or would change")
	return cmd
}
