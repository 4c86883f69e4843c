// Package makespan measures how long an update of gridos-infra from nothing takes at Azure's own
// pace, and where the time goes: the real Pulumi engine against a simulated Azure that takes its
// time, scaled. `make bench-makespan` runs it.
package makespan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// parallel is how many resources the engine works on at once: more than any environment has.
const parallel = 64

// options are the flags.
type options struct {
	stacks     []string
	scale      float64
	parallel   int
	maxRatio   float64
	json, each bool
}

// Command measures environments and explains the figures, resource by resource.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "makespan",
		Short: "Measure how long an update of gridos-infra from nothing takes at Azure's pace",
		Long: `Runs the update of gridos-infra from nothing in each environment: the real engine, the real stack files, a simulated Azure
that takes as long as docs/azure-latencies.md says, scaled. Prints how long the whole takes, how long the longest
unavoidable chain is, and the critical path. Everything is written to a temporary folder.

Exit codes: 0 done, 1 failed, or a ratio is above --max-ratio.`,
		Example: `  go run ./lab/bench makespan
  go run ./lab/bench makespan --stack dev --each
  go run ./lab/bench makespan --json | jq '.[].ratio'`,
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
	flags.StringSliceVarP(&o.stacks, "stack", "s", naming.Environments(), "environments to measure")
	flags.Float64Var(&o.scale, "scale", 1.0/10, "the part of Azure's time to wait here; below 1/50 the engine's own time counts")
	flags.IntVar(&o.parallel, "parallel", parallel, "resources that the engine works on at once; 0 lets the CLI choose")
	flags.Float64Var(&o.maxRatio, "max-ratio", 1.25, // prod's in lab/bench/bounds.json
		"the highest ratio of makespan to chain")
	flags.BoolVar(&o.json, "json", false, "print JSON, for machines")
	flags.BoolVar(&o.each, "each", false, "print every resource, not only the critical path")
	return cmd
}

// Measure measures every environment once. scale is the part of Azure's time that is waited.
func Measure(ctx context.Context, scale float64, display *progress.Display) ([]Report, error) {
	return measureAll(ctx, options{stacks: naming.Environments(), scale: scale, parallel: parallel}, display)
}

func (o options) check() error {
	var mistakes []error
	for _, s := range o.stacks {
		if !slices.Contains(naming.Environments(), s) {
			mistakes = append(mistakes, fmt.Errorf("--stack names %q; use some of %s", s, strings.Join(naming.Environments(), ", ")))
		}
	}
	if o.scale <= 0 || o.scale > 1 {
		mistakes = append(mistakes, fmt.Errorf("--scale is %g; it must be above 0 and at most 1", o.scale))
	}
	if o.parallel < 0 {
		mistakes = append(mistakes, fmt.Errorf("--parallel is %d; it must be 0 or more", o.parallel))
	}
	return errors.Join(mistakes...)
}

func run(cmd *cobra.Command, o options) error {
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	reports, err := measureAll(cmd.Context(), o, display)
	display.Stop()
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(cmd.OutOrStdout(), reports)
	} else {
		err = printTables(cmd.OutOrStdout(), reports, o.scale, o.each)
	}
	for _, r := range reports {
		err = errors.Join(err, r.tooLong(o.maxRatio))
	}
	return err
}

// measureAll measures the environments at the same time: they mostly wait. After a failure the
// folder stays, because the error names logs in it.
func measureAll(ctx context.Context, o options, display *progress.Display) ([]Report, error) {
	here, err := site.Open(naming.Environments()[0])
	if err != nil {
		return nil, err
	}
	resolver := &toolchain.Resolver{ToolsDir: here.ToolsDir(), Progress: display}
	paths, err := resolver.Resolve(ctx, toolchain.Pulumi)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gridos-makespan-*")
	if err != nil {
		return nil, err
	}
	s := setup{scale: o.scale, parallel: o.parallel, dir: dir, tools: paths.Dirs(), display: display}
	reports := make([]Report, len(o.stacks))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, environment := range o.stacks {
		group.Go(func() error {
			m, err := s.measure(groupCtx, environment)
			if err != nil {
				return fmt.Errorf("%s: %w", environment, err)
			}
			reports[i] = reportOf(m, o.scale)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return reports, os.RemoveAll(dir)
}
