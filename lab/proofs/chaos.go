package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
	"github.com/gridos/sharedinfra/lab/proofs/chaos"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
)

func chaosCommand() *cobra.Command {
	var rounds, parallel int
	var seed uint64
	var only []int
	cmd := cli.WithJSON(&cobra.Command{
		Use: "chaos", Short: "Kill up, preview and down at random moments, and check that one command makes all whole again",
		Args: cobra.NoArgs,
		Long: `Kills the engine, the program, a provider, the simulated Azure or a controller with SIGKILL, at a random moment of up,
preview or down over all four projects; in a quarter of the rounds the engine of "lab recover" too. After each, "lab recover" and
then "lab up" must succeed. Then the simulated Azure must have exactly what the state says, and the cluster all that the states and
Helm's releases say: no orphan, no duplicate, no secret lost, no lock and no unfinished operation left. What happens follows from
the seed and the number of the round, so that rounds can be played again.

It works in copies of this checkout, beside whatever lab is up. A round takes 30 to 60 seconds on two cores.`,
		Example: "  go run ./lab/proofs chaos\n  go run ./lab/proofs chaos --rounds 10 --parallel 1 --seed 7\n" +
			"  go run ./lab/proofs chaos --seed 7 --round 3",
	})
	cmd.Flags().IntVar(&rounds, "rounds", 100, "how many rounds to play")
	cmd.Flags().IntVar(&parallel, "parallel", 2, "how many rounds to play at once, each in an environment of its own")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "what decides; 0 is another one each time")
	cmd.Flags().IntSliceVar(&only, "round", nil, "play these rounds of the seed alone")
	cmd.RunE = site.At(func(cmd *cobra.Command, s site.Site) error {
		asJSON := cli.JSON(cmd)
		if rounds < 1 {
			return cli.UsageError{Err: fmt.Errorf("--rounds is %d; it must be 1 or more", rounds)}
		}
		if parallel < 1 {
			return cli.UsageError{Err: fmt.Errorf("--parallel is %d; it must be 1 or more", parallel)}
		}
		if len(only) > 0 && seed == 0 {
			return cli.UsageError{Err: errors.New("--round needs the --seed of the run that it was a round of")}
		}
		numbers := only
		if len(only) == 0 {
			for n := range rounds {
				numbers = append(numbers, n+1)
			}
		}
		for seed == 0 {
			seed = rand.Uint64N(1_000_000) //nolint:gosec // it is to be replayed, not to be secret
		}
		results, err := playChaos(cmd, s, seed, numbers, parallel)
		if asJSON {
			return errors.Join(err, cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"seed": seed, "rounds": results}))
		}
		if len(results) == 0 {
			return err
		}
		return errors.Join(err, chaosTable(cmd.OutOrStdout(), seed, results))
	})
	return cmd
}

// playChaos plays the rounds in as many environments at once as requested, each in a copy of the
// checkout of its own.
func playChaos(cmd *cobra.Command, s site.Site, seed uint64, numbers []int, environments int) ([]chaos.Result, error) {
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	binary, remove, err := buildLab(cmd.Context(), s, display)
	if err != nil {
		return nil, err
	}
	defer remove()
	rounds := make(chan int, len(numbers))
	for _, n := range numbers {
		rounds <- n
	}
	close(rounds)
	environments = min(environments, len(numbers))
	results, errs := make([][]chaos.Result, environments), make([]error, environments)
	var playing sync.WaitGroup
	for i := range environments {
		playing.Go(func() {
			errs[i] = inCopy(cmd.Context(), s, display, world.DeliveryNo, func(copied site.Site) error {
				var err error
				results[i], err = chaos.Run(cmd.Context(), chaos.Options{
					Lab: labcli.Lab{Binary: binary, Site: copied}, Rounds: rounds, Seed: seed, Display: display,
				})
				return err
			})
		})
	}
	playing.Wait()
	played := slices.Concat(results...)
	slices.SortFunc(played, func(a, b chaos.Result) int { return cmp.Compare(a.Round, b.Round) })
	return played, errors.Join(errs...)
}

// chaosTable prints how often each victim was killed, and how long the recovery took.
func chaosTable(w io.Writer, seed uint64, results []chaos.Result) error {
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"killed", "during", "rounds", "adopted", "recover: median", "longest", "up: median", "longest"})
	row := func(victim, verb string, of []chaos.Result) {
		if len(of) == 0 {
			return
		}
		adopted := 0
		var recovered, up []float64
		for _, r := range of {
			adopted += r.Adopted
			recovered, up = append(recovered, r.Recovery), append(up, r.Up)
		}
		t.AppendRow(table.Row{
			victim, verb, len(of), adopted, median(recovered), inSeconds(slices.Max(recovered)), median(up), inSeconds(slices.Max(up)),
		})
	}
	for _, victim := range chaos.Victims() {
		for _, verb := range chaos.Verbs() {
			row(string(victim), string(verb), slices.DeleteFunc(slices.Clone(results), func(r chaos.Result) bool {
				return r.Victim != victim || r.Verb != verb || r.Error != ""
			}))
		}
	}
	row("all", "", slices.DeleteFunc(slices.Clone(results), func(r chaos.Result) bool { return r.Error != "" }))
	t.Render()
	_, err := fmt.Fprintf(w, "\nseed %d: %d rounds\n", seed, len(results))
	return err
}

func median(values []float64) string {
	sorted := slices.Sorted(slices.Values(values))
	return inSeconds(sorted[len(sorted)/2])
}

func inSeconds(s float64) string { return fmt.Sprintf("%.1f s", s) }
