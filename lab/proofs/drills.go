package main

import (
	"errors"
	"io"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
	"github.com/gridos/sharedinfra/lab/proofs/drill"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
)

func drillsCommand() *cobra.Command {
	var names []string
	for _, d := range drill.All() {
		names = append(names, d.Name)
	}
	cmd := cli.WithJSON(&cobra.Command{
		Use: "drills [NAME...]", Short: "Play disasters, and the documented way out of each",
		Long: `Plays disasters in a lab of its own that delivers from Git, in a copy of this checkout: the cluster is lost, the states are
lost, Argo CD is deleted by hand, the key vault is purged. After each, "lab recover" and "lab up" must bring back what was there;
both are timed. All of them take about five minutes.`,
		Example: "  go run ./lab/proofs drills\n  go run ./lab/proofs drills state-lost\n" +
			"  go run ./lab/proofs drills --json | jq '.[] | {name, recoverySeconds, upSeconds}'",
		ValidArgs: names,
		Args:      cli.OnlyOf(names),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return site.At(func(cmd *cobra.Command, s site.Site) error { return playDrills(cmd, s, args) })(cmd, args)
	}
	return cmd
}

func playDrills(cmd *cobra.Command, s site.Site, names []string) error {
	asJSON := cli.JSON(cmd)
	drills := slices.DeleteFunc(drill.All(), func(d drill.Drill) bool {
		return len(names) > 0 && !slices.Contains(names, d.Name)
	})
	return inDelivery(cmd, s, func(lab labcli.Lab, display *progress.Display) error {
		results, err := drill.Play(cmd.Context(), lab, drills, display)
		display.Stop()
		if asJSON {
			return errors.Join(err, cli.PrintJSON(cmd.OutOrStdout(), results))
		}
		drillTable(cmd.OutOrStdout(), results)
		return err
	})
}

// inDelivery brings a lab up that delivers from Git, in a copy of the checkout, and plays there.
func inDelivery(cmd *cobra.Command, s site.Site, play func(lab labcli.Lab, display *progress.Display) error) error {
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	binary, remove, err := buildLab(cmd.Context(), s, display)
	if err != nil {
		return err
	}
	defer remove()
	return inCopy(cmd.Context(), s, display, world.DeliveryYes, func(copied site.Site) error {
		lab := labcli.Lab{Binary: binary, Site: copied}
		step := display.Start("lab up --gitops")
		if _, err := lab.Run(cmd.Context(), "up", "--gitops"); err != nil {
			step.Fail(err)
			return err
		}
		step.Done("")
		return play(lab, display)
	})
}

func drillTable(w io.Writer, results []drill.Result) {
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"drill", "promise", "recover", "up", "evidence", ""})
	for _, r := range results {
		verdict := "pass"
		if r.Error != "" {
			verdict = "FAIL"
		}
		t.AppendRow(table.Row{r.Name, r.Promise, inSeconds(r.Recovery), inSeconds(r.Up), r.Evidence, verdict})
	}
	t.Render()
}
