package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/support"
	"github.com/gridos/sharedinfra/pipeline/internal/inventory"
)

func supportCommand() *cobra.Command {
	cmd := cli.WithJSON(&cobra.Command{
		Use: "support", Short: "Tell which versions are out of support, or soon will be", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Looks in docs/support-dates.yaml for every version that the checkout names: those of each environment, by
the defaults of the programs and its stack files, and those of what builds and delivers. Warns %d days before one ends. A tool of the lab
that has ended is told, and counts for nothing.

With --issue it also keeps one issue on GitHub, which is open while a version is out of support or not known; that needs GITHUB_TOKEN and
GITHUB_REPOSITORY.

Exit codes: 0 all are supported, though some may end soon; %d one is out of support; %d none is, as far as is known, but a version has
no row, or its source was read more than %d days ago; 1 the checkout cannot be read; 2 a mistake in the command line.`,
			support.Notice, exitEnded, exitNotKnown, support.MaxAge),
		Example: "  go run ./pipeline support\n  go run ./pipeline support --on 2027-03-31 --json",
	})
	on := cmd.Flags().String("on", "", "the day to look on, such as 2027-03-31 (default: today, in UTC)")
	issue := cmd.Flags().Bool("issue", false, "keep the issue on GitHub")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		day := time.Now()
		if *on != "" {
			var err error
			if day, err = time.Parse(time.DateOnly, *on); err != nil {
				return cli.UsageError{Err: fmt.Errorf("--on %q is no day; write it like 2027-03-31", *on)}
			}
		}
		book, err := support.Shipped()
		if err != nil {
			return err
		}
		uses, err := inventory.Uses(cmd.Context(), ".", book)
		if err != nil {
			return err
		}
		check := inventory.Look(book, uses, day)
		if cli.JSON(cmd) {
			err = cli.PrintJSON(cmd.OutOrStdout(), check)
		} else {
			err = check.WriteText(cmd.OutOrStdout())
		}
		if err != nil {
			return err
		}
		ended, unknown := check.Has(inventory.Ended), check.Has(inventory.Unknown)
		if *issue {
			if err := keepSupportIssue(cmd, check, ended || unknown); err != nil {
				return err
			}
		}
		switch {
		case ended:
			return verdict(exitEnded)
		case unknown:
			return verdict(exitNotKnown)
		default:
			return nil
		}
	}
	return cmd
}

// keepSupportIssue keeps the one issue, and tells people on standard error what it did.
func keepSupportIssue(cmd *cobra.Command, check inventory.Check, open bool) error {
	client, err := onGitHub()
	if err != nil {
		return err
	}
	result, err := client.UpsertIssue(cmd.Context(), supportMarker, check.Title(), check.Issue(), []string{"support"}, open)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "The issue: %s %s\n", result.Action, result.URL)
	return err
}
