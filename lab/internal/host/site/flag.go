package site

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/naming"
)

const environmentFlag = "stack"

// AddFlag adds the flag --stack, which names the environment, to a command and to all below it.
func AddFlag(root *cobra.Command) {
	root.PersistentFlags().StringP(environmentFlag, "s", naming.Environments()[0],
		"environment: "+strings.Join(naming.Environments(), ", "))
}

// At makes a command of one that works in the environment that --stack names.
func At(do func(cmd *cobra.Command, s Site) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		environment, err := cmd.Flags().GetString(environmentFlag)
		if err != nil {
			return err
		}
		s, err := Open(environment)
		if err != nil {
			return cli.UsageError{Err: err}
		}
		return do(cmd, s)
	}
}
