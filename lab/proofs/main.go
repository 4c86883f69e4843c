// Command proofs breaks labs on purpose, each in a copy of the checkout, and checks that the
// documented recovery makes them whole again, and that alerts tell of it. It also brings earlier
// mistakes of the repository back, and upgrades a lab from the last release.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world/baseline"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, cancel := cli.UntilStopped(ctx)
	defer cancel()
	root := newCommand()
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := cli.Execute(ctx, root, args)
	if err != nil && ctx.Err() != nil {
		fmt.Fprintln(stderr, "Stopped.")
		for _, besides := range cli.BesidesInterruption(err) {
			fmt.Fprintln(stderr, "Error:", besides)
		}
		return cli.Interrupted
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "Error:", err)
	if errors.As(err, new(cli.UsageError)) {
		return cli.Mistake
	}
	if errors.As(err, new(baseline.MissingError)) {
		return notRehearsed
	}
	return cli.Failed
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "proofs",
		Short: "Break labs on purpose, and check the way out; upgrade one under traffic",
		Long: `Breaks labs of its own, in copies of this checkout, and checks that what the documents promise brings them back. Brings
earlier mistakes of the repository back, and checks that the lab notices. Upgrades a lab from the last release, and checks that users do
not notice.

Exit codes: 0 done, 1 failed, 2 a mistake in the command line, 3 the checkout does not have the release to upgrade from, 130
interrupted. (go run makes 1 of them all; where the code matters, build it with go build -o bin/proofs ./lab/proofs.)`,
		Example: `  go run ./lab/proofs chaos --rounds 10     kill something, ten times
  go run ./lab/proofs drills state-lost     lose the states, and get them back
  go run ./lab/proofs alerts TargetIsDown   make an alert fire, and end
  go run ./lab/proofs regressions           bring earlier mistakes back, and see that the lab notices
  go run ./lab/proofs upgrade               upgrade dev from the last release`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	site.AddFlag(root)
	root.AddCommand(chaosCommand(), drillsCommand(), alertsCommand(), regressionsCommand(), upgradeCommand())
	root.AddCommand(daemon.Commands()...)
	return root
}
