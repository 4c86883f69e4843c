// Command benchapps measures how gridos-apps grows with its catalogue: the real Pulumi engine, the real Kubernetes provider and a
// real API server with Argo CD's CustomResourceDefinitions. `make bench-apps` runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/progress"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	counts                []int
	maxExponent, maxRatio float64
	rounds                int
	json, checkpoints     bool
}

func newCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "benchapps",
		Short: "Measure preview and update of gridos-apps with large catalogues",
		Long: `Previews and updates gridos-apps from nothing with catalogues of each size, and beside it a program that registers as many
resources which do nothing: what the engine itself takes. Prints wall time, the peak of memory of the engine with its plugins and
of the program, and how the time grows. Everything is written to a temporary folder.

An engine whose backend is a folder or a bucket writes the whole state after every step of an update, so that its time grows with the
square of the number of resources, whatever they are. Pulumi Cloud is told of the steps alone. The state is therefore written once,
at the end, unless --checkpoints is given.

Exit codes: 0 done, 1 failed, growth is above --max-exponent, or the largest preview is above --max-ratio.`,
		Example: `  go run ./lab/benchapps
  go run ./lab/benchapps --counts 10,100 --rounds 1
  go run ./lab/benchapps --json | jq '.sizes[].preview.seconds'`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd, o)
		},
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&o.counts, "counts", []int{10, 100, 1000}, "sizes of the catalogue, growing")
	flags.Float64Var(&o.maxExponent, "max-exponent", 1.25, "the highest exponent of growth; 1 is linear")
	flags.Float64Var(&o.maxRatio, "max-ratio", 3, "how many times as long as the engine alone the largest preview may take")
	flags.IntVar(&o.rounds, "rounds", 2, "how often each preview is measured; the shortest counts")
	flags.BoolVar(&o.checkpoints, "checkpoints", false, "write the whole state after every step, as with a folder or a bucket")
	flags.BoolVar(&o.json, "json", false, "print JSON, for machines")
	return cmd
}

func (o options) check() error {
	var mistakes []error
	growing := slices.IsSorted(o.counts) && len(slices.Compact(slices.Clone(o.counts))) == len(o.counts)
	if len(o.counts) == 0 || o.counts[0] < 1 || !growing {
		mistakes = append(mistakes, fmt.Errorf("--counts is %v; it must be numbers above 0 that grow", o.counts))
	}
	if o.rounds < 1 {
		mistakes = append(mistakes, fmt.Errorf("--rounds is %d; it must be 1 or more", o.rounds))
	}
	if o.maxExponent <= 0 || o.maxRatio <= 0 {
		mistakes = append(mistakes, errors.New("--max-exponent and --max-ratio must be above 0"))
	}
	return errors.Join(mistakes...)
}

func run(cmd *cobra.Command, o options) error {
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	sizes, err := measureAll(cmd.Context(), o, display)
	display.Stop()
	if err != nil {
		return err
	}
	r := reportOf(sizes)
	if o.json {
		err = printJSON(cmd.OutOrStdout(), r)
	} else {
		err = printTable(cmd.OutOrStdout(), r)
	}
	return errors.Join(err, r.verdict(o.maxExponent, o.maxRatio))
}
