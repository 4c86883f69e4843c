package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

func upCommand() *cobra.Command {
	return withDelivery(expecting(&cobra.Command{
		Use: "up", Short: "Bring an environment up and leave it running", Args: cobra.NoArgs, RunE: at(up),
		Long: `Brings an environment up and leaves it running. With --gitops Argo CD and Argo Rollouts run for real, and sync the
application from a Git server of the lab's own: its repository begins with applications/ and src/ of this checkout, with each
pause of a release shortened to ten seconds.`,
		Example: "  bin/lab up\n  bin/lab up --gitops\n  bin/lab up -s test\n  bin/lab up --expect-no-changes",
	}))
}

// up brings the environment up and leaves it running.
func up(cmd *cobra.Command, s site.Site) error {
	wanted, err := deliveryOf(cmd)
	if err != nil {
		return err
	}
	began := time.Now()
	return working(cmd, s, func(ctx context.Context, display *progress.Display) error {
		results, strangers, err := world.Up(ctx, s, display, wanted)
		display.Stop()
		if err := errors.Join(err, unclaimed(strangers)); err != nil {
			return err
		}
		if err := resultTable(cmd.OutOrStdout(), s.Environment, results); err != nil {
			return err
		}
		if err := errors.Join(asExpected(cmd, results), world.Fulfilled(ctx, s)); err != nil {
			return err
		}
		state, err := gitOpsStateOf(ctx, s)
		if err != nil {
			return err
		}
		record, _, err := s.Running()
		if err != nil {
			return err
		}
		return welcome(cmd.OutOrStdout(), s, record, time.Since(began), state)
	})
}

// welcome says what to look at in an environment that is up; state is nil if nothing delivers from
// Git.
func welcome(w io.Writer, s site.Site, record site.Record, took time.Duration, state *gitOpsState) error {
	if state != nil {
		if err := gitOpsTable(w, state); err != nil {
			return err
		}
	}
	commands := [][2]string{
		{fmt.Sprintf("eval \"$(%s)\"", s.Command("env")), "lets kubectl, pulumi and argocd talk to it"},
		{s.Command("status"), "what runs, and what exists"},
		{s.Command("outputs"), "what the stacks hand on"},
	}
	if state != nil {
		commands[1] = [2]string{s.Command("commit"), "a release: commit, build, sync, canary, promotion"}
	}
	_, err := fmt.Fprintf(w, "\n%s is up, after %s. Watch it at %s. Next:\n\n", s.Environment, took.Round(time.Second), record.Page)
	if err != nil {
		return err
	}
	for _, command := range commands {
		if _, err := fmt.Fprintf(w, "  %-29s  # %s\n", command[0], command[1]); err != nil {
			return err
		}
	}
	return nil
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
