package main

import (
	"errors"
	"io"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
	"github.com/gridos/sharedinfra/lab/proofs/regression"
)

func regressionsCommand() *cobra.Command {
	var names []string
	for _, r := range regression.All() {
		names = append(names, r.Name)
	}
	cmd := cli.WithJSON(&cobra.Command{
		Use: "regressions [NAME...]", Short: "Bring earlier mistakes back, and check that the lab notices",
		Long: `Brings mistakes back that the manifests, the service or the programs once had, one at a time, in a lab of its own that
delivers from Git, in a copy of this checkout. A scenario of the lab must pass without the mistake, and fail with it, in words that say
what is wrong. Git brings a mistake of the manifests and the service, "lab up" one of the programs. All of them take about half an hour.`,
		Example: "  go run ./lab/proofs regressions\n  go run ./lab/proofs regressions edge-ports firewall-limit\n" +
			"  go run ./lab/proofs regressions --json | jq '.[] | {name, with, seconds}'",
		ValidArgs: names,
		Args:      cli.OnlyOf(names),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return site.At(func(cmd *cobra.Command, s site.Site) error { return playRegressions(cmd, s, args) })(cmd, args)
	}
	return cmd
}

func playRegressions(cmd *cobra.Command, s site.Site, names []string) error {
	asJSON := cli.JSON(cmd)
	chosen := slices.DeleteFunc(regression.All(), func(r regression.Regression) bool {
		return len(names) > 0 && !slices.Contains(names, r.Name)
	})
	return inDelivery(cmd, s, func(lab labcli.Lab, display *progress.Display) error {
		results, err := regression.Play(cmd.Context(), lab, s.Repository, chosen, display)
		display.Stop()
		if asJSON {
			return errors.Join(err, cli.PrintJSON(cmd.OutOrStdout(), results))
		}
		regressionTable(cmd.OutOrStdout(), results)
		return err
	})
}

func regressionTable(w io.Writer, results []regression.Result) {
	t := plaintable.New(w)
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 2, WidthMax: 40, WidthMaxEnforcer: text.WrapSoft},
		{Number: 4, WidthMax: 70, WidthMaxEnforcer: text.WrapSoft},
	})
	t.AppendHeader(table.Row{"regression", "mistake", "scenario", "seen with it", "time", ""})
	for _, r := range results {
		seen, verdict := r.With, "pass"
		if r.Error != "" {
			seen, verdict = r.Error, "FAIL"
		}
		t.AppendRow(table.Row{r.Name, r.Mistake, r.Scenario, seen, inSeconds(r.Seconds), verdict})
	}
	t.Render()
}
