package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/audit"
)

func vulnerabilitiesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "vulnerabilities", Short: "Look for known vulnerabilities that the code reaches", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Looks with govulncheck for known vulnerabilities that the code of the checkout reaches, in the
repository's module and in src/, or in one of them, and fails when there are some. Where their database cannot be read nothing is
audited: the command says so, and its exit code is %d, so that no reader takes it for good news.`, exitNotKnown),
		Example: "  go run ./pipeline vulnerabilities\n  go run ./pipeline vulnerabilities --module src",
	}
	database := cmd.Flags().String("database", audit.Database, "the address of the database, or of a mirror")
	all := []string{".", "src"}
	modules := cmd.Flags().StringSlice("module", all, "the folders of the modules to look at")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, module := range *modules {
			if !slices.Contains(all, module) {
				return cli.UsageError{Err: fmt.Errorf("there is no module in %q; name one of %s with --module",
					module, strings.Join(all, ", "))}
			}
		}
		modified, err := audit.Audit{
			Database: *database, Modules: *modules, Check: audit.Govulncheck(".", cmd.OutOrStdout()),
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
