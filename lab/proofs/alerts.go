package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
	"github.com/gridos/sharedinfra/lab/proofs/alert"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
)

func alertsCommand() *cobra.Command {
	var names []string
	for _, p := range scenario.Provocations() {
		names = append(names, p.Alerts...)
	}
	cmd := cli.WithJSON(&cobra.Command{
		Use: "alerts [ALERT...]", Short: "Make each alert fire by its cause, and end without it",
		Long: fmt.Sprintf(`Makes each alert of apps/monitoring/rules fire in a lab of its own that delivers from Git, in a copy of the
checkout. It makes the cause, waits until Prometheus says that the alert fires, removes the cause, and waits until the alert has gone.

Prometheus evaluates the rules in Git with every wait ("for"), every window and the minute between evaluations divided by %d.
Numbers in the rules are as they are. A second table has the alerts that the lab cannot provoke. There is no Alertmanager.
All of them take about half an hour.`, alert.Factor),
		Example: "  go run ./lab/proofs alerts\n  go run ./lab/proofs alerts TargetIsDown ReleaseFailed\n" +
			"  go run ./lab/proofs alerts --json | jq '.alerts[] | {alert, firedSeconds, clearedSeconds}'",
		ValidArgs: names,
		Args:      cli.OnlyOf(names),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return site.At(func(cmd *cobra.Command, s site.Site) error { return playAlerts(cmd, s, args) })(cmd, args)
	}
	return cmd
}

func playAlerts(cmd *cobra.Command, s site.Site, names []string) error {
	asJSON := cli.JSON(cmd)
	provocations := slices.DeleteFunc(scenario.Provocations(), func(p scenario.Provocation) bool {
		return len(names) > 0 && !slices.ContainsFunc(p.Alerts, func(name string) bool { return slices.Contains(names, name) })
	})
	return inDelivery(cmd, s, func(lab labcli.Lab, display *progress.Display) error {
		raised, err := alert.Play(cmd.Context(), lab.Site, display, provocations)
		display.Stop()
		if asJSON {
			return errors.Join(err, cli.PrintJSON(cmd.OutOrStdout(), map[string]any{
				"factor": alert.Factor, "alerts": raised, "notProvoked": scenario.NotProvoked(),
			}))
		}
		return errors.Join(err, alertTables(cmd.OutOrStdout(), raised))
	})
}

func alertTables(w io.Writer, raised []scenario.Raised) error {
	after := func(seconds *float64) string {
		if seconds == nil {
			return "never"
		}
		return inSeconds(*seconds)
	}
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"alert", "provoked by", "fired after", "cleared after"})
	for _, r := range raised {
		t.AppendRow(table.Row{r.Alert, r.ProvokedBy, after(r.Fired), after(r.Cleared)})
	}
	t.Render()
	if _, err := fmt.Fprintf(w, "\nEvery wait and window of the rules was divided by %d.\n\n", alert.Factor); err != nil {
		return err
	}
	t = plaintable.New(w)
	t.AppendHeader(table.Row{"alert", "not provoked, because"})
	reasons := scenario.NotProvoked()
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		t.AppendRow(table.Row{name, reasons[name]})
	}
	t.Render()
	return nil
}
