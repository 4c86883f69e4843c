package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/changes"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/deployed"
)

// onStack completes a command that works on one environment, which the flag -s names, in the root of a checkout.
func onStack(cmd *cobra.Command, do func(cmd *cobra.Command, name string) error) *cobra.Command {
	name := cmd.Flags().StringP("stack", "s", "", "environment: "+strings.Join(naming.Environments(), ", ")+" (required)")
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains(naming.Environments(), *name) {
			return usageError{fmt.Errorf("there is no environment %q; name one of %s with -s",
				*name, strings.Join(naming.Environments(), ", "))}
		}
		if _, err := os.Stat("Pulumi.yaml"); err != nil {
			return usageError{errors.New("this is not the root of a checkout; change into it")}
		}
		return do(cmd, *name)
	}
	return cmd
}

// onEnvironment completes a command that works on the stacks of one environment, with the Pulumi CLI.
func onEnvironment(cmd *cobra.Command, do func(cmd *cobra.Command, e deployed.Environment) error) *cobra.Command {
	return onStack(cmd, func(cmd *cobra.Command, name string) error {
		e, err := deployed.Open(".", name, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		return do(cmd, e)
	})
}

func previewCommand() *cobra.Command {
	return reporting(&cobra.Command{
		Use: "preview", Short: "Show what an update would change in an environment as it is deployed",
		Long: `Previews the four projects against the environment as it is deployed, and shows what would be created, updated, replaced
and deleted: what is dangerous first. Reading the state and what it refers to is all that it needs the right to.`,
		Example: "  go run ./pipeline preview -s dev\n  go run ./pipeline preview -s prod --json >prod.json",
	}, deployed.Environment.Preview)
}

func driftCommand() *cobra.Command {
	return reporting(&cobra.Command{
		Use: "drift", Short: "Show what others than Pulumi have changed in an environment",
		Long: `Reads what is there and compares it with what the last update left. The state stays as it is. Exit code 0 says that there
is no drift, 3 that there is some, and 1 that it is not known of every stack.`,
		Example: "  go run ./pipeline drift -s prod\n  go run ./pipeline drift -s prod --json >prod.json",
	}, deployed.Environment.Drift)
}

// reporting completes a command that prints a report.
func reporting(
	cmd *cobra.Command, ask func(deployed.Environment, context.Context) (changes.Report, error),
) *cobra.Command {
	asJSON := cmd.Flags().Bool("json", false, "print JSON, for machines")
	return onEnvironment(cmd, func(cmd *cobra.Command, e deployed.Environment) error {
		report, err := ask(e, cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			encoder := json.NewEncoder(cmd.OutOrStdout())
			encoder.SetIndent("", "  ")
			err = encoder.Encode(report)
		} else {
			err = report.WriteText(cmd.OutOrStdout(), false)
		}
		switch {
		case err != nil:
			return err
		case len(report.Errors()) > 0:
			return errors.New(report.Verdict())
		case len(report.Dangerous()) > 0:
			return verdict(exitDangerous)
		case len(report.All()) > 0:
			return verdict(exitChanges)
		default:
			return nil
		}
	})
}

func deployCommand() *cobra.Command {
	return onEnvironment(&cobra.Command{
		Use: "deploy", Short: "Update the four projects of an environment in order",
		Long: `Updates the four projects in the order in which they read each other's outputs, and stops at the first that fails. It asks no
questions: a review of the preview comes before it. An update that somebody else runs is not disturbed. In a workflow the outputs
that other teams read go into the job's summary.`,
		Example: "  go run ./pipeline deploy -s dev",
	}, deploy)
}

func deploy(cmd *cobra.Command, e deployed.Environment) error {
	results, err := e.Up(cmd.Context())
	out := cmd.OutOrStdout()
	t := plaintable.New(out)
	header := table.Row{"project"}
	for _, op := range changes.Ops() {
		header = append(header, string(op))
	}
	t.AppendHeader(append(header, "same"))
	for _, r := range results {
		row := table.Row{r.Project.Name}
		for _, op := range changes.Ops() {
			row = append(row, r.Changes[string(op)])
		}
		t.AppendRow(append(row, r.Changes["same"]))
	}
	t.Render()
	if err != nil {
		return err
	}
	outputs, err := e.Published(cmd.Context())
	if err != nil {
		return err
	}
	published := map[string]any{}
	for key, output := range outputs {
		if !output.Secret { // there is none; should there be one, it stays one
			published[key] = output.Value
		}
	}
	to, done, err := summary(out)
	if err != nil {
		return err
	}
	return errors.Join(outputTable(to, published), done())
}

// outputTable writes outputs as a Markdown table.
func outputTable(w io.Writer, outputs map[string]any) error {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"output", "value"})
	for _, key := range slices.Sorted(maps.Keys(outputs)) {
		t.AppendRow(table.Row{key, text.Snip(fmt.Sprint(outputs[key]), 200, "…")})
	}
	_, err := fmt.Fprintf(w, "\n### Outputs\n\n%s\n", t.RenderMarkdown())
	return err
}

// summary returns the file that a workflow shows as its job's summary, or w outside of workflows.
func summary(w io.Writer) (io.Writer, func() error, error) {
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return w, func() error { return nil }, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the job's summary (GITHUB_STEP_SUMMARY): %w", err)
	}
	return file, file.Close, nil
}
