package command

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

func diffCommand() *cobra.Command {
	cmd := cli.WithJSON(&cobra.Command{
		Use: "diff", Short: "Show what the working tree would change in an environment that a commit made",
		Args: cobra.NoArgs, RunE: at(diff),
		Long: `Brings an environment up in a lab of its own with the code of the commit at which the checkout left --base, previews the
working tree's code on top of it with the real engine, and shows what would be created, updated, replaced and deleted: what is
dangerous first. The built commit and what it made stay in .lab/base: the next diff against this commit begins with a copy, which the
progress says. To have it made again, delete that folder.

Each project is previewed with the outputs that the stacks before it have now: what a change yields reaches the next project
only by an update.

Exit codes: 0 no change, 3 changes, 4 dangerous changes, 5 a change of the outputs that breaks other teams' programs, 1 failed, 2 a
mistake in the command line or the configuration, 130 interrupted.`,
		Example: `  bin/lab diff --base main
  bin/lab diff --base origin/develop -s prod --markdown
  go build -o bin/lab ./lab && bin/lab diff --base main --json    (the exit code of go run tells less)`,
	})
	cmd.Flags().String("base", "", "the branch, tag or commit to compare with (required)")
	cmd.Flags().Bool("markdown", false, "print Markdown, for a comment on a pull request")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
	return cmd
}

// foundChanges ends a diff that found changes: no failure, but an exit code of its own.
type foundChanges struct{ dangerous, refused int }

// Error implements error; it is not printed.
func (f foundChanges) Error() string {
	return fmt.Sprintf("there are changes, %d of them dangerous, %d refused", f.dangerous, f.refused)
}

// diff reports what the working tree would change.
func diff(cmd *cobra.Command, s site.Site) error {
	ref, err := cmd.Flags().GetString("base")
	if err != nil {
		return err
	}
	if ref == "" {
		return cli.UsageError{Err: errors.New("say what to compare with, such as --base main")}
	}
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	report, err := world.Compare(cmd.Context(), s, ref, display)
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
	case len(report.All()) > 0, report.Objects() > 0, report.Contract != nil:
		return foundChanges{dangerous: len(report.Dangerous()), refused: len(report.Contract.Refused())}
	default:
		return nil
	}
}

func printReport(cmd *cobra.Command, report changes.Report) error {
	asJSON := cli.JSON(cmd)
	asMarkdown, err := cmd.Flags().GetBool("markdown")
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	switch {
	case asJSON:
		return cli.PrintJSON(out, report)
	case asMarkdown:
		return changes.WriteMarkdown(out, []changes.Report{report})
	default:
		return report.WriteText(out, inColour(out))
	}
}

// inColour reports whether the writer is a terminal whose user wants colours
// (https://no-color.org).
func inColour(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
