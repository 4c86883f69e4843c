// Package applications measures how gridos-apps grows with its catalogue: the real Pulumi engine, the real Kubernetes provider and a
// real API server with Argo CD's CustomResourceDefinitions. `make bench-apps` runs it.
package applications

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/bench/figures"
	"github.com/gridos/sharedinfra/lab/internal/progress"
)

// options are the flags.
type options struct {
	counts                []int
	maxExponent, maxRatio float64
	rounds                int
	json, checkpoints     bool
}

// Command measures catalogues and prints the figures.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "applications",
		Short: "Measure preview and update of gridos-apps with large catalogues",
		Long: `Previews and updates gridos-apps from nothing with catalogues of each size, and beside it a program that registers as many
resources which do nothing: what the engine itself takes. Prints wall time, the peak of memory of the engine with its plugins and
of the program, and how the time grows. Everything is written to a temporary folder.

An engine whose backend is a folder or a bucket writes the whole state after every step of an update, so that its time grows with the
square of the number of resources, whatever they are. Pulumi Cloud is told of the steps alone. The state is therefore written once,
at the end, unless --checkpoints is given.

Exit codes: 0 done, 1 failed, growth is above --max-exponent, or the largest preview is above --max-ratio.`,
		Example: `  go run ./lab/bench applications
  go run ./lab/bench applications --counts 10,100 --rounds 1
  go run ./lab/bench applications --json | jq '.sizes[].preview.seconds'`,
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
	flags.Float64Var(&o.maxRatio, "max-ratio", 4, "how many times as long as the engine alone the largest preview may take")
	flags.IntVar(&o.rounds, "rounds", 1, "how often each size is measured; medians count")
	flags.BoolVar(&o.checkpoints, "checkpoints", false, "write the whole state after every step, as with a folder or a bucket")
	flags.BoolVar(&o.json, "json", false, "print JSON, for machines")
	return cmd
}

// many is the size from which once is enough: it takes minutes, and is the sum of so many resources that rounds do not differ.
const many = 5000

func (o options) roundsOf(n int) int {
	if n >= many {
		return 1
	}
	return o.rounds
}

// Measure measures catalogues of each of the sizes, which grow, and returns a row for each figure.
func Measure(ctx context.Context, counts []int, rounds int, display *progress.Display) ([]figures.Row, error) {
	all, err := measureAll(ctx, options{counts: counts, rounds: rounds}, display)
	if err != nil {
		return nil, err
	}
	return rowsOf(all), nil
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
	all, err := measureAll(cmd.Context(), o, display)
	display.Stop()
	if err != nil {
		return err
	}
	r := reportOf(medians(all))
	if o.json {
		err = printJSON(cmd.OutOrStdout(), r)
	} else {
		err = printTable(cmd.OutOrStdout(), r)
	}
	return errors.Join(err, r.verdict(o.maxExponent, o.maxRatio))
}
