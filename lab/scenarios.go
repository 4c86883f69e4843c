package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/gitops"
	"github.com/gridos/sharedinfra/lab/internal/progress"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
)

func scenariosCommand(at func(func(*cobra.Command, site.Site) error) func(*cobra.Command, []string) error) *cobra.Command {
	var names []string
	for _, s := range scenario.All() {
		names = append(names, s.Name)
	}
	cmd := withJSON(&cobra.Command{
		Use: "scenarios [NAME...]", Short: "Play releases, good and bad, and check what the documents promise of them",
		Long: `Plays releases in an environment that is up with --gitops, and what can go wrong with them: from a commit to promoted
pods, or back. Each scenario checks one promise in the live objects and puts back what it changed. Without names all are played,
which takes about ten minutes, and a second table says which scenarios are evidence for which success criterion.

All that happens is also written to .lab/<stack>/logs/scenarios.jsonl, an event per line.`,
		Example: "  go run ./lab scenarios\n  go run ./lab scenarios good-release bad-errors\n  go run ./lab scenarios --list\n" +
			"  go run ./lab scenarios --json | jq '.[] | select(.passed | not)'",
		ValidArgs: names,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.OnlyValidArgs(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w; use some of %s", err, strings.Join(names, ", "))}
			}
			return nil
		},
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

// commit plays one good release.
func commit(cmd *cobra.Command, s site.Site) error {
	return playScenarios(cmd, s, []string{scenario.GoodRelease})
}

func playScenarios(cmd *cobra.Command, s site.Site, names []string) error {
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	return working(cmd, s, func(ctx context.Context, display *progress.Display) (err error) {
		log, err := openScenarioLog(s)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		player := &player{display: display}
		stage, err := player.stage(ctx, s, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stage.Close()) }()
		began := time.Now()
		results, playErr := player.playAll(ctx, stage, names)
		display.Stop()
		switch {
		case asJSON:
			err = printJSON(cmd.OutOrStdout(), results)
		case len(results) > 0:
			err = scenarioTables(cmd.OutOrStdout(), results, time.Since(began), len(results) == len(scenario.All()))
		}
		return errors.Join(playErr, err, failures(results))
	})
}

// openScenarioLog begins the log anew. A lab without delivery from Git has no place for it.
func openScenarioLog(s site.Site) (*os.File, error) {
	if _, running, err := s.Running(); err != nil || !running {
		return nil, errors.Join(err, errNoGitOps(s))
	}
	return os.OpenFile(s.ScenariosFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
}

// player shows the scenarios as steps.
type player struct {
	display *progress.Display
	step    *progress.Step
}

// playAll plays the named scenarios, or all without names. What was played before an error is returned too.
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

func (p *player) stage(ctx context.Context, s site.Site, log io.Writer) (*scenario.Stage, error) {
	client, ok, err := gitops.Connect(s.GitOpsDir())
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errNoGitOps(s)
	}
	resolver := &toolchain.Resolver{ToolsDir: s.ToolsDir(), Progress: p.display}
	paths, err := resolver.Resolve(ctx, append(toolchain.ForManifests(), toolchain.ArgoRolloutsPlugin, toolchain.ArgoCD)...)
	if err != nil {
		return nil, err
	}
	record, _, err := s.Running()
	if err != nil {
		return nil, err
	}
	e, err := engine.New(s, record, p.display)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.GitOpsDir(), "clone-")
	if err != nil {
		return nil, err
	}
	return scenario.NewStage(ctx, scenario.Options{
		Environment: s.Environment, Dir: dir, Kubeconfig: s.KubeconfigFile(), Lab: client,
		Kustomize: paths[toolchain.Kustomize], Kubectl: paths[toolchain.Kubectl], RolloutsPlugin: paths[toolchain.ArgoRolloutsPlugin],
		ArgoCD:         paths[toolchain.ArgoCD],
		Infrastructure: func(ctx context.Context) (int, []string, error) { return inAzure(ctx, s, e) },
		Log:            log,
		Show:           func(line string) { p.display.Printf("%s", line) },
		Detail:         func(text string) { p.step.Update(text) },
	})
}

// inAzure counts what the deployment has in the simulated Azure, and names what its state does not know.
func inAzure(ctx context.Context, s site.Site, e *engine.Engine) (resources int, unknown []string, err error) {
	known, err := e.AzureIDs(ctx)
	if err != nil {
		return 0, nil, err
	}
	cloud, err := azure.Open(azure.Options{StateFile: s.AzureFile()})
	if err != nil {
		return 0, nil, err
	}
	all := azure.Unseeded(cloud.Inventory())
	for _, r := range all {
		if !slices.ContainsFunc(known, func(id string) bool { return strings.EqualFold(id, r.ID) }) {
			unknown = append(unknown, r.ID)
		}
	}
	return len(all), unknown, nil
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
	_, err := fmt.Fprintf(w, "\n%d scenarios in %s. Pauses, measurements and windows are a %gth of the real ones here.\n",
		len(results), took.Round(time.Second), math.Round(1/gitops.Factor))
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

func seconds(s *float64) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.1f s", *s)
}

func verdict(passed bool) string {
	if passed {
		return "pass"
	}
	return "FAIL"
}
