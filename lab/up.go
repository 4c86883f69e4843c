package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/progress"
	"github.com/gridos/sharedinfra/lab/internal/site"
)

// up brings the environment up and leaves it running.
func up(cmd *cobra.Command, s site.Site) error {
	wanted, err := gitOpsModeOf(cmd)
	if err != nil {
		return err
	}
	return working(cmd, s, func(ctx context.Context, display *progress.Display) error {
		m, e, overrides, err := begin(ctx, s, display, wanted)
		if err != nil {
			return err
		}
		killed, err := e.Killed()
		var strangers []azure.Resource
		if err == nil && killed {
			_, strangers, err = m.recover(ctx, e, overrides)
		}
		if err != nil {
			return err
		}
		control, err := m.control()
		if err != nil {
			return err
		}
		results, err := e.Up(ctx, overrides, m.find(ctx, control))
		if err = errors.Join(err, control.Close()); err == nil {
			err = m.awaitDelivery(ctx)
		}
		display.Stop()
		if err := errors.Join(err, unclaimed(strangers)); err != nil {
			return err
		}
		if err := resultTable(cmd.OutOrStdout(), s.Environment, results); err != nil {
			return err
		}
		all := make(map[string]auto.OutputMap, len(results))
		for _, r := range results {
			all[r.Project.Name] = r.Outputs
		}
		if err := outputTable(cmd.OutOrStdout(), all, false); err != nil {
			return err
		}
		if err := errors.Join(asExpected(cmd, results), fulfilled(s)); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s is up. eval \"$(go run ./lab env%s)\" lets pulumi and kubectl talk to it.\n",
			s.Environment, stackFlag(s))
		return err
	})
}

// fulfilled returns an error for what Azure accepts in silence although it cannot work.
func fulfilled(s site.Site) error {
	cloud, err := azure.Open(azure.Options{StateFile: s.AzureFile()})
	if err != nil {
		return err
	}
	var broken []error
	for _, why := range cloud.Unfulfilled() {
		broken = append(broken, fmt.Errorf("Azure would accept this, and it would not work: %s", why))
	}
	return errors.Join(broken...)
}

// preview plans the environment. One that is not up is planned from nothing, at a place that is removed afterwards.
func preview(cmd *cobra.Command, s site.Site) error {
	return working(cmd, s, func(ctx context.Context, display *progress.Display) (err error) {
		if err := engine.CheckConfiguration(ctx, s); err != nil {
			return usageError{err}
		}
		if !s.Exists() {
			temporary, openErr := s.Temporary()
			if openErr != nil {
				return openErr
			}
			s = temporary
			defer func() {
				var failure *engine.Failure
				if errors.As(err, &failure) { // its log goes with the site
					err = errors.Join(err, failure.QuoteLog())
				}
				err = errors.Join(err, discard(context.WithoutCancel(ctx), s))
			}()
		}
		m, err := prepare(ctx, s, display, gitOpsAsItIs)
		if err != nil {
			return err
		}
		others, err := engine.Existing(ctx, s)
		if err != nil {
			return err
		}
		e, err := m.start(ctx, others...)
		if err != nil {
			return err
		}
		overrides, err := m.overrides(ctx)
		if err != nil {
			return err
		}
		results, err := e.Preview(ctx, overrides)
		display.Stop()
		if err != nil {
			return err
		}
		if err := resultTable(cmd.OutOrStdout(), s.Environment, results); err != nil {
			return err
		}
		return asExpected(cmd, results)
	})
}

// discard stops what a site ran and removes it.
func discard(ctx context.Context, s site.Site) error {
	if err := daemon.Stop(ctx, s); err != nil {
		return err
	}
	return s.Remove()
}

// asExpected returns an error when changes were not expected and there were some.
func asExpected(cmd *cobra.Command, results []engine.Result) error {
	expect, err := cmd.Flags().GetBool("expect-no-changes")
	if err != nil || !expect {
		return err
	}
	var changed []error
	for _, r := range results {
		if r.Changed() > 0 {
			changed = append(changed, fmt.Errorf("no changes were expected, but %s has %s", r.Project.Name, r.Summary()))
		}
	}
	return errors.Join(changed...)
}

// down destroys the environment and stops everything that it ran. What is not finished stays, so that down can go on.
func down(cmd *cobra.Command, s site.Site) error {
	return working(cmd, s, func(ctx context.Context, display *progress.Display) error {
		// A preview that was killed could not tidy up after itself.
		abandoned, err := s.Abandoned()
		if err != nil {
			return err
		}
		for _, preview := range abandoned {
			if err := discard(ctx, preview); err != nil {
				return err
			}
		}
		if !s.Exists() {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is not up; nothing to do.\n", s.Environment)
			return err
		}
		m, err := prepare(ctx, s, display, gitOpsToRemove)
		if err != nil {
			return err
		}
		// Neither the stacks' files nor the chart repository are asked: a mistake there must not keep anything up.
		e, err := m.startToDestroy(ctx)
		if err != nil {
			return err
		}
		// Destroying runs no program, so nothing else waits for a cluster that is just coming back.
		if err := daemon.WaitForCluster(ctx, s); err != nil {
			return err
		}
		results, err := e.Down(ctx)
		if err != nil {
			return err
		}
		keep, err := cmd.Flags().GetBool(keepRunning)
		if err != nil {
			return err
		}
		left, err := leftInAzure(s)
		if err != nil {
			return err
		}
		if keep {
			// A vault that is soft-deleted keeps its name from the next up.
			err = m.purge(ctx)
		} else {
			step := display.Start("background process stop")
			if err = discard(ctx, s); err == nil {
				step.Done("")
			} else {
				step.Fail(err)
			}
		}
		if err != nil {
			return err
		}
		display.Stop()
		if err := resultTable(cmd.OutOrStdout(), s.Environment, results); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "\nThe simulated Azure has %d resources left.\n", len(left)); err != nil {
			return err
		}
		return orphaned(left)
	})
}

// purge purges what is soft-deleted.
func (m *machine) purge(ctx context.Context) error {
	control, err := m.control()
	if err != nil {
		return err
	}
	return errors.Join(control.Purge(ctx), control.Close())
}

// keepRunning is the flag of down that leaves the simulated Azure and the control plane running.
const keepRunning = "keep-running"

// leftInAzure is what the simulated Azure still has.
func leftInAzure(s site.Site) ([]azure.Resource, error) {
	cloud, err := azure.Open(azure.Options{StateFile: s.AzureFile()})
	if err != nil {
		return nil, err
	}
	return azure.Unseeded(cloud.Inventory()), nil
}

// orphaned is the error that resources are which no stack knew of. They went with the simulated Azure; in the real one they
// would be there, and cost money.
func orphaned(left []azure.Resource) error {
	problems := make([]error, len(left))
	for i, r := range left {
		problems[i] = fmt.Errorf("no stack knew of %s: an engine that was killed while it created it leaves such an orphan", r.ID)
	}
	return errors.Join(problems...)
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

// stackFlag is what makes a command of the lab mean this environment.
func stackFlag(s site.Site) string {
	if s.Environment == "dev" {
		return ""
	}
	return " -s " + s.Environment
}
