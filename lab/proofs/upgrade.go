package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
	"github.com/gridos/sharedinfra/lab/internal/world/baseline"
	"github.com/gridos/sharedinfra/lab/proofs/upgrade"
)

// notRehearsed is the exit code of an upgrade from a release that the checkout does not have.
const notRehearsed = 3

func upgradeCommand() *cobra.Command {
	cmd := cli.WithJSON(&cobra.Command{
		Use: "upgrade", Short: "Upgrade an environment from the last release, under traffic", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Brings an environment up as the last release has it, in a lab of its own that delivers from Git, and upgrades it
to the working tree while users send requests through the gateway: infra, bootstrap, apps and the root project, and then the manifests and
the service, as Git would bring them. The programs, the stack files, the manifests and the service are the release's. The Pulumi
CLI, its plugins, the cluster, Argo CD and the simulated Azure are the working tree's.

It fails if a resource is replaced that no new entry under "Replaces" in CHANGELOG.md names, if one of %d requests or more fails,
if the application does not get healthy, or if a second up has changes. The last release is the newest tag v* in the history, or,
without one, the newest in CHANGELOG.md. If the checkout does not have that commit, the exit code is %d.`, upgrade.Least, notRehearsed),
		Example: "  go run ./lab/proofs upgrade\n  go run ./lab/proofs upgrade -s prod --from v1.2.0\n" +
			"  go run ./lab/proofs upgrade --json | jq '.projects[] | {name, replaced, lost}'",
	})
	cmd.Flags().String("from", "", "the tag, branch or commit to begin with, instead of the last release")
	cmd.RunE = site.At(playUpgrade)
	return cmd
}

func playUpgrade(cmd *cobra.Command, s site.Site) (err error) {
	ctx := cmd.Context()
	release, err := releaseOf(cmd, s)
	if err != nil {
		return err
	}
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	dir, err := os.MkdirTemp("", "gridos-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	built, err := upgrade.Build(ctx, s.Repository, dir, release, display)
	if err != nil {
		return err
	}
	return inCopy(ctx, s, display, world.DeliveryYes, func(copied site.Site) error {
		report, err := upgrade.Play(ctx, upgrade.Options{
			Site: copied, Repository: s.Repository, Release: release, Built: built, Display: display,
		})
		display.Stop()
		if err != nil {
			return err
		}
		if cli.JSON(cmd) {
			err = cli.PrintJSON(cmd.OutOrStdout(), report)
		} else {
			err = upgradeTable(cmd.OutOrStdout(), report)
		}
		return errors.Join(report.Verdict(), err)
	})
}

func releaseOf(cmd *cobra.Command, s site.Site) (baseline.Release, error) {
	ref, err := cmd.Flags().GetString("from")
	if err != nil {
		return baseline.Release{}, err
	}
	if ref == "" {
		return baseline.LastRelease(cmd.Context(), s.Repository)
	}
	release, err := baseline.Named(cmd.Context(), s.Repository, ref)
	if err != nil {
		err = cli.UsageError{Err: err}
	}
	return release, err
}

func upgradeTable(w io.Writer, report upgrade.Report) error {
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"project", "created", "updated", "replaced", "deleted", "time"})
	for _, p := range report.Projects {
		t.AppendRow(table.Row{p.Name, p.Created, p.Updated, p.Replaced, p.Deleted, inSeconds(p.Seconds)})
	}
	t.Render()
	for _, p := range report.Projects {
		for _, lost := range p.Lost {
			said := "announced in CHANGELOG.md"
			if !lost.Announced {
				said = "REFUSED"
			}
			if _, err := fmt.Fprintf(w, "%s %s of %s: %s\n", lost.Op, lost.Name, p.Name, said); err != nil {
				return err
			}
		}
	}
	again := "no change"
	if len(report.Again) > 0 {
		again = fmt.Sprint(report.Again)
	}
	_, err := fmt.Fprintf(w, "\nmanifests and service: %s, %s\nrequests: %d, of which %d failed\na second up: %s\n"+
		"%s from %s (%.7s) to the working tree in %s\n",
		report.Application, inSeconds(report.Application.Seconds), report.Requests, report.Failed, again,
		report.Environment, report.From, report.Commit, inSeconds(report.Seconds))
	return err
}
