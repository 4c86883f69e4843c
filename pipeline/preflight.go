package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/azcli"
	"github.com/gridos/sharedinfra/pipeline/internal/preflight"
)

func preflightCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "preflight", Short: "Ask the subscription whether an environment can be deployed to it",
		Long: fmt.Sprintf(`Asks the subscription, before the first deployment of an environment, what Azure would refuse
in the middle of it: quotas of vCPUs, VM sizes and their zones, PostgreSQL's offer, versions of Kubernetes and of the mesh, resource
providers, deleted key vaults, the Defender plan, the roles of the deployer. What is needed comes from the configuration in infra. It
reads only, through the Azure CLI (az) and its sign-in; the role Reader at the subscription is enough to ask.

All checks are made, and told in one table. An answer that cannot be read or is not given is "not known", never good. Quotas are
counted as if the environment did not exist: in one that runs, its own nodes count twice.

Exit codes: 0 all is good; %d something stands in the way; %d nothing stands in the way as far as is known, but not all is
known; 1 the configuration of infra has mistakes; 2 a mistake in the command line.`, exitRefused, exitNotKnown),
		Example: "  go run ./pipeline preflight -s dev\n  go run ./pipeline preflight -s prod --deployer <object id> --json >prod.json",
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON, for machines")
	deployer := cmd.Flags().String("deployer", "",
		"object id of the user or service principal that will deploy (default: who is signed in)")
	az := azcli.Default()
	cmd.Flags().DurationVar(&az.Patience, "timeout", az.Patience, "how long one answer of Azure may take")
	return onStack(cmd, func(cmd *cobra.Command, name string) error {
		if *deployer != "" && uuid.Validate(*deployer) != nil {
			return cli.UsageError{Err: fmt.Errorf("--deployer %q is no GUID; use the object id that Azure shows, not a name", *deployer)}
		}
		if az.Patience <= 0 {
			return cli.UsageError{Err: fmt.Errorf("--timeout %s is no time to answer in; give it more than 0s", az.Patience)}
		}
		needs, err := preflight.Read(cmd.Context(), ".", name)
		if err != nil {
			return err
		}
		flight := preflight.Preflight{Azure: az, Needs: needs, Deployer: *deployer}
		progress := tellProgress(cmd.Context(), cmd.ErrOrStderr(), &flight)
		report, err := flight.Run(cmd.Context())
		progress()
		if err != nil {
			return err
		}
		write := report.WriteText
		if *asJSON {
			write = report.WriteJSON
		}
		if err := write(cmd.OutOrStdout()); err != nil {
			return err
		}
		switch {
		case report.Count(preflight.Problem) > 0:
			return verdict(exitRefused)
		case report.Count(preflight.NotKnown) > 0 || report.Count(preflight.Good) == 0:
			return verdict(exitNotKnown)
		default:
			return nil
		}
	})
}

// quiet is how long a command may print nothing while it waits.
const quiet = 2 * time.Second

// tellProgress prints from time to time how many questions are answered, until the caller calls
// stop.
func tellProgress(ctx context.Context, w io.Writer, flight *preflight.Preflight) (stop func()) {
	var answered, all atomic.Int64
	flight.Progress = func(done, of int) {
		all.Store(int64(of))
		answered.Store(int64(done))
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ticks := time.NewTicker(quiet); ; {
			select {
			case <-ctx.Done():
				ticks.Stop()
				return
			case <-ticks.C:
				if of := all.Load(); of > 0 {
					fmt.Fprintf(w, "Asking Azure: %d of %d questions are answered\n", answered.Load(), of)
				} else {
					fmt.Fprintln(w, "Asking Azure: no question is answered yet")
				}
			}
		}
	}()
	return func() { cancel(); <-ended }
}
