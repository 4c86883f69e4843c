package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gridos/sharedinfra/changes"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/baseline"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/progress"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/lab/internal/random"
	"github.com/gridos/sharedinfra/lab/internal/site"
)

func diffCommand(
	noArgs cobra.PositionalArgs, at func(func(*cobra.Command, site.Site) error) func(*cobra.Command, []string) error,
) *cobra.Command {
	cmd := withJSON(&cobra.Command{
		Use: "diff", Short: "Show what the working tree would change in an environment that a commit made", Args: noArgs, RunE: at(diff),
		Long: `Brings an environment up in a lab of its own with the code of the commit at which the checkout left --base, previews the
working tree's code on top of it with the real engine, and shows what would be created, updated, replaced and deleted: what is
dangerous first. Nothing of it stays but the built commit, for the next time.

Each project is previewed with the outputs that the stacks before it have now: what a change yields reaches the next project
only by an update.

Exit codes: 0 no change, 3 changes, 4 dangerous changes, 1 failed, 2 a mistake in the command line or the configuration, 130
interrupted.`,
		Example: `  go run ./lab diff --base main
  go run ./lab diff --base origin/develop -s prod --markdown
  go build -o bin/lab ./lab && bin/lab diff --base main --json    (the exit code of go run tells less)`,
	})
	cmd.Flags().String("base", "", "the branch, tag or commit to compare with (required)")
	cmd.Flags().Bool("markdown", false, "print Markdown, for a comment on a pull request")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
	return cmd
}

// foundChanges is the end of a diff that found something: no failure, but an exit code of its own.
type foundChanges struct{ dangerous int }

// Error implements error; nobody prints it.
func (f foundChanges) Error() string {
	return fmt.Sprintf("there are changes, %d of them dangerous", f.dangerous)
}

// diff reports what the working tree would change.
func diff(cmd *cobra.Command, s site.Site) error {
	ref, err := cmd.Flags().GetString("base")
	if err != nil {
		return err
	}
	if ref == "" {
		return usageError{errors.New("say what to compare with, such as --base main")}
	}
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	report, err := compare(cmd.Context(), s, ref, display)
	display.Stop()
	if err != nil {
		return err
	}
	if err := printReport(cmd, report); err != nil {
		return err
	}
	switch failed := report.Errors(); {
	case len(failed) > 0:
		return errors.New(report.Verdict())
	case len(report.All()) > 0:
		return foundChanges{dangerous: len(report.Dangerous())}
	default:
		return nil
	}
}

func compare(ctx context.Context, s site.Site, ref string, display *progress.Display) (report changes.Report, err error) {
	if err := engine.CheckConfiguration(ctx, s); err != nil {
		return report, usageError{err}
	}
	commit, err := baseline.Find(ctx, s, ref)
	if err != nil {
		return report, usageError{err}
	}
	base, err := baseline.Open(ctx, s, ref, commit, display)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, base.Close(context.WithoutCancel(ctx))) }()
	made, err := base.Up(ctx, display)
	if err != nil {
		return report, err
	}
	m, err := prepare(ctx, made, display, gitOpsAsItIs)
	if err != nil {
		return report, err
	}
	e, stop, err := m.onTopOf(ctx)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	overrides, err := m.overrides(ctx)
	if err != nil {
		return report, err
	}
	report, err = e.Report(ctx, overrides)
	report.Base = base.Name
	return report, err
}

// onTopOf returns an engine that previews against what another version of the lab brought up. The simulated Azure that it asks
// is this version's, over a copy of the other's inventory: what the working tree needs may be new to the other.
func (m *machine) onTopOf(ctx context.Context) (*engine.Engine, func() error, error) {
	if err := daemon.WaitForCluster(ctx, m.site); err != nil {
		return nil, nil, err
	}
	record, up, err := m.site.Running()
	if err != nil || !up {
		return nil, nil, errors.Join(err, errNotUp(m.site))
	}
	inventory, err := os.ReadFile(m.site.AzureFile())
	if err != nil {
		return nil, nil, err
	}
	copied := filepath.Join(m.site.TemporaryDir(), "azure.json")
	if err := os.WriteFile(copied, inventory, 0o600); err != nil {
		return nil, nil, err
	}
	others, err := engine.Existing(ctx, m.site)
	if err != nil {
		return nil, nil, err
	}
	cloud, err := azure.Open(azure.Options{StateFile: copied, Existing: others, Kubernetes: standing{m.site.KubeconfigFile()}})
	if err != nil {
		return nil, nil, err
	}
	azureServer, err := providers.Serve(ctx, cloud.Provider())
	if err != nil {
		return nil, nil, err
	}
	randomServer, err := providers.Serve(ctx, random.New())
	if err != nil {
		return nil, nil, errors.Join(err, azureServer.Stop())
	}
	stop := func() error { return errors.Join(azureServer.Stop(), randomServer.Stop()) }
	record.AzurePort, record.RandomPort, record.Tools = azureServer.Port, randomServer.Port, m.paths.Dirs()
	e, err := engine.New(m.site, record, m.display)
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return e, stop, nil
}

// standing is a cluster that is there and stays as it is: previews only sign in to it.
type standing struct{ kubeconfigFile string }

// Kubeconfig implements azure.Kubernetes.
func (s standing) Kubeconfig(context.Context) ([]byte, error) { return os.ReadFile(s.kubeconfigFile) }

// SetNodes implements azure.Kubernetes.
func (standing) SetNodes(context.Context, []azure.Node) error { return nil }

// SetIngressGateways implements azure.Kubernetes.
func (standing) SetIngressGateways(context.Context, []azure.IngressGateway) error { return nil }

func printReport(cmd *cobra.Command, report changes.Report) error {
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	asMarkdown, err := cmd.Flags().GetBool("markdown")
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	switch {
	case asJSON:
		return printJSON(out, report)
	case asMarkdown:
		return changes.WriteMarkdown(out, []changes.Report{report})
	default:
		return report.WriteText(out, inColour(out))
	}
}

// inColour tells whether the writer is a terminal whose user wants colours (https://no-color.org).
func inColour(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
