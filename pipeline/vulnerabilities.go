package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/pipeline/internal/audit"
)

func vulnerabilitiesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "vulnerabilities", Short: "Look for known vulnerabilities that the code reaches", Args: noArgs,
		Long: fmt.Sprintf(`Looks with govulncheck for known vulnerabilities that the code of the checkout reaches, in the
repository's module and in src/, and fails when there are some. Where their database cannot be read nothing is audited: that is said,
and has the exit code %d, so that nobody takes it for good news.`, exitNotKnown),
		Example: "  go run ./pipeline vulnerabilities",
	}
	database := cmd.Flags().String("database", audit.Database, "the address of the database, or of a mirror")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		modified, err := audit.Audit{
			Database: *database, Modules: []string{".", "src"}, Check: audit.Govulncheck(".", cmd.OutOrStdout()),
		}.Run(cmd.Context())
		if errors.Is(err, audit.ErrNotAudited) {
			fmt.Fprintln(cmd.ErrOrStderr(), err)
			return verdict(exitNotKnown)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "No vulnerability that the code reaches is known to %s, as of %s.\n",
			*database, modified.UTC().Format(time.DateOnly))
		return err
	}
	return cmd
}
