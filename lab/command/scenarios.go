package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

func scenariosCommand() *cobra.Command {
	var names []string
	for _, s := range scenario.All() {
		names = append(names, s.Name)
	}
	cmd := cli.WithJSON(&cobra.Command{
		Use: "scenarios [NAME...]", Short: "Play releases, good and bad, and check what the documents promise of them",
		Long: `Plays releases in an environment that is up with --gitops, and what can go wrong with them: from a commit to promoted
pods, or back. Each scenario checks one promise in the live objects and puts back what it changed. Without names all are played,
which takes about ten minutes, and a second table says which scenarios are evidence for which success criterion.

All that happens is also written to .lab/<stack>/logs/scenarios.jsonl, an event per line.`,
		Example: "  bin/lab scenarios\n  bin/lab scenarios good-release bad-errors\n  bin/lab scenarios --list\n" +
			"  bin/lab scenarios --json | jq '.[] | select(.passed | not)'",
		ValidArgs: names,
		Args:      cli.OnlyOf(names),
	})
	cmd.Flags().Bool("list", false, "list the scenarios and play none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list, err := cmd.Flags().GetBool("list")
		if err != nil {
			return err
		}
		if list {
			return listScenarios(cmd.OutOrStdout())
		}
		return at(func(cmd *cobra.Command, s site.Site) error { return playScenarios(cmd, s, args) })(cmd, args)
	}
	return cmd
}

func listScenarios(w io.Writer) error {
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"scenario", "promise"})
	for _, s := range scenario.All() {
		t.AppendRow(table.Row{s.Name, s.Promise})
	}
	t.Render()
	return nil
}

func commitCommand() *cobra.Command {
	return cli.WithJSON(&cobra.Command{
		Use: "commit", Short: "Play one release, from a commit to promoted pods", Args: cobra.NoArgs, RunE: at(commit),
		Long: `Plays the scenario good-release in an environment that is up with --gitops, and shows each step: a change of the
service is committed and built, its image is pushed, the overlay's image is set by a commit, Argo CD syncs it, and Argo Rollouts
moves the requests.`,
		Example: "  bin/lab up --gitops\n  bin/lab commit",
	})
}

// commit plays one good release.
func commit(cmd *cobra.Command, s site.Site) error {
	return playScenarios(cmd, s, []string{scenario.GoodRelease})
}

func playScenarios(cmd *cobra.Command, s site.Site, names []string) error {
	asJSON := cli.JSON(cmd)
	return working(cmd, s, func(ctx context.Context, display *progress.Display) error {
		player := &player{display: display}
		return world.Play(ctx, s, display, func(text string) { player.step.Update(text) }, func(stage *scenario.Stage) error {
			began := time.Now()
			results, playErr := player.playAll(ctx, stage, names)
			display.Stop()
			var err error
			switch {
			case asJSON:
				err = cli.PrintJSON(cmd.OutOrStdout(), results)
			case len(results) > 0:
				err = scenarioTables(cmd.OutOrStdout(), results, time.Since(began), len(results) == len(scenario.All()))
			}
			return errors.Join(playErr, err, failures(results))
		})
	})
}

// player shows the scenarios as steps.
type player struct {
	display *progress.Display
	step    *progress.Step
}

// playAll plays the named scenarios, or all without names. After an error it also returns the
// results so far.
func (p *player) playAll(ctx context.Context, stage *scenario.Stage, names []string) ([]scenario.Result, error) {
	results := []scenario.Result{}
	for _, played := range scenario.All() {
		if len(names) > 0 && !slices.Contains(names, played.Name) {
			continue
		}
		result, err := p.play(ctx, stage, played)
		if err != nil {
			return results, err
		}
		results = append(results, result)
	}
	return results, nil
}

func (p *player) play(ctx context.Context, stage *scenario.Stage, played scenario.Scenario) (scenario.Result, error) {
	p.step = p.display.Start(played.Name)
	result, err := stage.Play(ctx, played)
	switch {
	case err != nil:
		p.step.Fail(err)
	case !result.Passed:
		p.step.Fail(errors.New(result.Evidence))
	default:
		p.step.Done(result.Evidence)
	}
	return result, err
}

func failures(results []scenario.Result) error {
	var failed []error
	for _, r := range results {
		if !r.Passed {
			failed = append(failed, fmt.Errorf("%s: %s", r.Scenario, r.Evidence))
		}
	}
	return errors.Join(failed...)
}

func scenarioTables(w io.Writer, results []scenario.Result, took time.Duration, all bool) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := plaintable.New(w)
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 2, WidthMax: 36, WidthMaxEnforcer: text.WrapSoft},
		{Number: 3, WidthMax: 56, WidthMaxEnforcer: text.WrapSoft},
	})
	t.AppendHeader(table.Row{"scenario", "promise", "evidence", "push to synced", "synced to promoted", "time", "result"})
	for _, r := range results {
		t.AppendRow(table.Row{
			r.Scenario, r.Promise, r.Evidence, seconds(r.PushToSynced), seconds(r.SyncedToPromoted), seconds(&r.Seconds), verdict(r.Passed),
		})
	}
	t.Render()
	if all {
		if err := criteriaTable(w, results); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%d scenarios in %s. Here the waits of a release are %s.\n",
		len(results), took.Round(time.Second), gitops.Speed)
	return err
}

func criteriaTable(w io.Writer, results []scenario.Result) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"success criterion", "evidence", "result"})
	for _, criterion := range scenario.Criteria() {
		var evidence []string
		passed := true
		for _, r := range results {
			if slices.Contains(r.Criteria, criterion) {
				evidence = append(evidence, r.Scenario)
				passed = passed && r.Passed
			}
		}
		t.AppendRow(table.Row{criterion, strings.Join(evidence, ", "), verdict(passed && len(evidence) > 0)})
	}
	t.Render()
	return nil
}
