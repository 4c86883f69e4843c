package main

import (
	"context"
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

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/pipeline/internal/approval"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout"
	"github.com/gridos/sharedinfra/pipeline/internal/deployed"
	"github.com/gridos/sharedinfra/stacks"
)

// onStack completes a command that works on one environment, which the flag -s names, in the root
// of a checkout.
func onStack(cmd *cobra.Command, do func(cmd *cobra.Command, name string) error) *cobra.Command {
	name := cmd.Flags().StringP("stack", "s", "", "environment: "+strings.Join(naming.Environments(), ", ")+" (required)")
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains(naming.Environments(), *name) {
			return cli.UsageError{Err: fmt.Errorf("there is no environment %q; name one of %s with -s",
				*name, strings.Join(naming.Environments(), ", "))}
		}
		if _, err := os.Stat("Pulumi.yaml"); err != nil {
			return cli.UsageError{Err: errors.New("this is not the root of a checkout; change into it")}
		}
		return do(cmd, *name)
	}
	return cmd
}

// onEnvironment completes a command that works on the stacks of one environment, with the Pulumi
// CLI.
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
	return onEnvironment(cli.WithJSON(cmd), func(cmd *cobra.Command, e deployed.Environment) error {
		report, err := ask(e, cmd.Context())
		if err != nil {
			return err
		}
		if err := show(cmd, report); err != nil {
			return err
		}
		return outcome(report)
	})
}

// show prints a report, as JSON if that is asked for.
func show(cmd *cobra.Command, report changes.Report) error {
	if cli.JSON(cmd) {
		return cli.PrintJSON(cmd.OutOrStdout(), report)
	}
	return report.WriteText(cmd.OutOrStdout(), false)
}

// outcome is the error of a command that prints a report. A report without a change is none.
func outcome(report changes.Report) error {
	switch {
	case len(report.Errors()) > 0:
		return errors.New(report.Verdict())
	case len(report.Dangerous()) > 0:
		return verdict(exitDangerous)
	case len(report.All()) > 0 || report.Objects() > 0:
		return verdict(exitChanges)
	default:
		return nil
	}
}

func planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan", Short: "Write down what an update would do to an environment, for an approval",
		Long: `Previews the four projects as an update of all of them would change them, and writes that to a file. The
file has codes in place of values, which only those can compute who may decrypt the environment's state, and nothing of secrets.
The digest of the file is what is approved: deploy does what is in the plan, and nothing else. In a workflow the report goes into
the job's summary, and the digest into its outputs, as "digest". A project that cannot be previewed cannot be planned; nor can a
commit, once a newer one was deployed. Reading the state, decrypting it, and reading what it refers to is all that it needs the
right to.`,
		Example: "  go run ./pipeline plan -s dev --out plan.json",
	}
	file := cmd.Flags().String("out", "plan.json", "the file to write the plan to")
	return onEnvironment(cmd, func(cmd *cobra.Command, e deployed.Environment) error {
		commit, err := committed(cmd.Context())
		if err == nil {
			err = notSuperseded(cmd, e, commit)
		}
		if err != nil {
			return err
		}
		plan, report, err := e.Plan(cmd.Context(), commit)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		to, done, err := summary(out)
		if err != nil {
			return err
		}
		if to == out {
			err = report.WriteText(out, false)
		} else {
			err = changes.WriteMarkdown(to, []changes.Report{report})
		}
		return errors.Join(err, writePlan(out, to, plan, report, *file), done())
	})
}

// writePlan writes the plan to a file, unless the plan is incomplete, and says what is to be
// approved.
func writePlan(out, summary io.Writer, plan approval.Plan, report changes.Report, file string) error {
	if failed := report.Errors(); len(failed) > 0 {
		return fmt.Errorf("there is no plan, because not everything could be previewed: %s", changes.Loggable(failed[0]))
	}
	digest, err := plan.Write(file)
	if err != nil {
		return err
	}
	if plan.Consent != "" {
		_, err = fmt.Fprintf(out, "Dangerous changes: deploying needs --consent %s\n", plan.Consent)
	}
	_, told := fmt.Fprintf(summary, "\nCommit `%s`, plan `%s`\n", plan.Commit, digest)
	return errors.Join(err, told, output("digest", digest))
}

// committed returns the commit of the checkout, whose programs and configuration have to be those
// of the commit.
func committed(ctx context.Context) (string, error) {
	c, err := checkout.Open(ctx, ".")
	if err != nil {
		return "", cli.UsageError{Err: err}
	}
	commit, changed, err := c.Head(ctx)
	if err == nil && len(changed) > 0 {
		return "", fmt.Errorf("%s differs from commit %s, which a plan is of; commit or stash the change", changed[0], commit)
	}
	return commit, err
}

// notSuperseded refuses to go back: a run that was started again, or waited long, has a commit that
// a later one has replaced.
func notSuperseded(cmd *cobra.Command, e deployed.Environment, commit string) error {
	c, err := checkout.Open(cmd.Context(), ".")
	if err != nil {
		return err
	}
	last, err := e.Commit(cmd.Context())
	if err != nil || last == "" || last == commit {
		return err
	}
	if _, err := c.Find(cmd.Context(), last); err != nil {
		if !errors.Is(err, checkout.ErrUnknown) {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Commit %s, which was deployed last, is not in this checkout: it cannot be told whether "+
			"commit %s is newer.\n", changes.Loggable(last), commit)
		return err
	}
	older, err := c.Contains(cmd.Context(), last, commit)
	if older {
		return fmt.Errorf("commit %s was deployed already, and is newer than commit %s; plan the newest commit, and revert there what is "+
			"not wanted", last, commit)
	}
	return err
}

// output sets an output of the workflow's step; there is none outside of workflows.
func output(name, value string) error {
	path := os.Getenv("GITHUB_OUTPUT")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the step's outputs (GITHUB_OUTPUT): %w", err)
	}
	_, err = fmt.Fprintf(file, "%s=%s\n", name, value)
	return errors.Join(err, file.Close())
}

func deployCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "deploy --plan FILE --digest DIGEST", Short: "Update the four projects of an environment in order, as approved",
		Long: fmt.Sprintf(`Updates the four projects in the order in which they read each other's outputs, and stops at the first
that fails. It does what is in the plan whose digest was approved, or less, and nothing else. Before it touches anything it
previews all projects again, and ends with exit code %d if they would do something that is not in the plan; it previews each later
one once more before its turn. Dangerous changes need a consent besides: the code that plan prints, which is that of these changes
alone. An update that another person or workflow runs is not disturbed. In a workflow the outputs that other teams read go into the job's
summary.`, exitNotApproved),
		Example: "  go run ./pipeline deploy -s dev --plan plan.json --digest \"$DIGEST\"",
	}
	file := cmd.Flags().String("plan", "", "the plan, a file that plan has written (required)")
	digest := cmd.Flags().String("digest", "", "the digest of the plan that was approved (required)")
	consents := cmd.Flags().StringSlice("consent", nil, "consents to dangerous changes: codes, or labels with them, separated by commas")
	return onEnvironment(cmd, func(cmd *cobra.Command, e deployed.Environment) error {
		if *file == "" || *digest == "" {
			return cli.UsageError{Err: errors.New("name what was approved with --plan and --digest; the command plan makes both")}
		}
		plan, err := approval.Read(*file, *digest)
		if err != nil {
			return notApproved(cmd, err)
		}
		commit, err := committed(cmd.Context())
		if err != nil {
			return err
		}
		return notApproved(cmd, deploy(cmd, e, plan, commit, *consents))
	})
}

// notApproved gives a refusal its own exit code.
func notApproved(cmd *cobra.Command, err error) error {
	var refused *approval.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if _, err := fmt.Fprintln(cmd.ErrOrStderr(), changes.Loggable(line)); err != nil {
			return err
		}
	}
	return verdict(exitNotApproved)
}

func deploy(cmd *cobra.Command, e deployed.Environment, plan approval.Plan, commit string, consents []string) error {
	results, err := e.Up(cmd.Context(), plan, commit, consents)
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
		return errors.Join(err, afterwards(out, err, cmd.Flag("stack").Value.String(), len(results)))
	}
	outputs, err := e.Published(cmd.Context())
	if err != nil {
		return err
	}
	published := map[string]any{}
	for key, output := range outputs {
		if !output.Secret { // there is no secret now; a future one stays secret
			published[key] = output.Value
		}
	}
	to, done, err := summary(out)
	if err != nil {
		return err
	}
	return errors.Join(outputTable(to, published), done())
}

// afterwards writes into the job's summary how to go on after an update that failed or was
// cancelled: a process that is killed leaves its lock on the stack. A refused update has changed
// nothing.
func afterwards(out io.Writer, failed error, environment string, done int) error {
	var refused *approval.RefusedError
	if errors.As(failed, &refused) || done >= len(stacks.Projects()) {
		return nil
	}
	to, closed, err := summary(out)
	if err != nil {
		return err
	}
	folder := stacks.Projects()[done].Directory
	_, err = fmt.Fprintf(to, "\n### The update has ended in `%[1]s`\n\n"+
		"Look into the log first. If it was cancelled or killed, and no other update of the stack is running:\n\n"+
		"```sh\npulumi -C %[1]s cancel %[2]s\npulumi -C %[1]s refresh -s %[2]s --clear-pending-creates\n```\n\n"+
		"docs/recovery.md tells what each does. Then plan again.\n", folder, environment)
	return errors.Join(err, closed())
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
