// Package command is the lab's command line, a file for each verb: flags, printing, exit codes.
// Package world does the work.
package command

import (
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "lab",
		Short: "Run the platform on one machine, without a cloud account",
		Long: `The lab runs the four Pulumi projects of this repository on one machine: the real Pulumi engine, a simulated
Azure, a real Kubernetes API server. It reads the same Pulumi.<stack>.yaml files as pulumi does and writes
nothing outside .lab/ and the user's cache folder.

Exit codes: 0 done, 1 failed, 2 a mistake in the command line or the configuration, 130 interrupted. (go run makes 1 of
them all; where the code matters, build the lab with go build -o bin/lab ./lab.)`,
		Example: `  bin/lab up                      bring dev up
  bin/lab preview -s prod         what would prod be?
  bin/lab diff --base main        what does this branch change?
  bin/lab outputs --json          the outputs of all stacks, for machines
  eval "$(bin/lab env)"           let pulumi and kubectl talk to the lab
  bin/lab down                    delete everything`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	site.AddFlag(root)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp) // no command takes a file
	root.AddCommand(
		upCommand(), previewCommand(), diffCommand(), downCommand(), recoverCommand(),
		statusCommand(), outputsCommand(), envCommand(),
		commitCommand(), scenariosCommand(),
		manifestsCommand(), toolsCommand(),
	)
	root.AddCommand(daemon.Commands()...)
	return root
}
