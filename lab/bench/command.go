package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/bench/figures"
	"github.com/gridos/sharedinfra/lab/bench/makespan"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
)

// options are the flags of the measurements.
type options struct {
	rounds int
	json   bool
	report string
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "bench",
		Short:         "Measure how long a person waits, next to peers and limits",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand(), guardCommand(), makespan.Command())
	return root
}

func runCommand() *cobra.Command {
	var o options
	var names, lines []string
	for _, m := range measures() {
		names = append(names, m.name)
		lines = append(lines, fmt.Sprintf("  %-12s %s", m.name, m.about))
	}
	cmd := &cobra.Command{
		Use:   "run [MEASURE...]",
		Short: "Measure, and print ratios with their goals",
		Long: "Measures, each round of this repository's right beside the peer's, and prints ratios of medians. Without names " +
			"everything is measured, which takes about 20 minutes on two cores:\n\n" + strings.Join(lines, "\n") +
			"\n\nExit codes: 0 measured, whether goals are met or not; 1 failed.",
		Example: "  go run ./lab/bench run preview lab\n  go run ./lab/bench run --rounds 1 --json | jq '.[] | {id, value}'\n" +
			"  go run ./lab/bench run --report docs/performance.md",
		ValidArgs: names,
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			var chosen []measure
			for _, m := range measures() {
				if len(args) == 0 || slices.Contains(args, m.name) {
					chosen = append(chosen, m)
				}
			}
			rows, err := runMeasures(cmd, o, chosen)
			if err == nil && o.report != "" {
				err = writeReport(cmd.Context(), o.report, rows)
			}
			if err != nil {
				return err
			}
			if o.json {
				return figures.JSON(cmd.OutOrStdout(), rows)
			}
			figures.Table(cmd.OutOrStdout(), rows)
			return nil
		},
	}
	cmd.Flags().IntVar(&o.rounds, "rounds", 5, "how often everything is measured that does not take minutes")
	cmd.Flags().StringVar(&o.report, "report", "", "a document whose table is replaced; rows that are not measured stay as they are")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON, for machines")
	return cmd
}

// writeReport puts rows into a document, with the commit and the machine that they were measured
// on.
func writeReport(ctx context.Context, document string, rows []figures.Row) error {
	report, err := figures.Read(document)
	if err != nil {
		return err
	}
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=7", "HEAD").Output()
	if err != nil {
		return fmt.Errorf("find out what was measured: git rev-parse: %w", err)
	}
	report = report.With(rows)
	report.Commit, report.Go, report.Cores = strings.TrimSpace(string(commit)), runtime.Version(), runtime.NumCPU()
	return report.Write(document)
}

// runMeasures measures one after the other, because measurements at the same time would slow each
// other down. After a failure the folder with the logs stays.
func runMeasures(cmd *cobra.Command, o options, chosen []measure) (rows []figures.Row, err error) {
	if o.rounds < 1 {
		return nil, fmt.Errorf("--rounds is %d; it must be 1 or more", o.rounds)
	}
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	ctx := cmd.Context()
	b, err := newBench(ctx, o.rounds, display)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(b.dir)
		} else {
			err = fmt.Errorf("%w\nlogs are in %s", err, b.dir)
		}
	}()
	for _, m := range chosen {
		of, err := m.run(ctx, b)
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return nil, err
			}
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		rows = append(rows, of...)
	}
	return rows, nil
}
