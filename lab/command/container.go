package command

import (
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/cluster/nodeagent"
)

// containerCommand is an internal command: the node agent begins each container with it.
func containerCommand() *cobra.Command {
	return &cobra.Command{
		Use: nodeagent.Command, Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return nodeagent.Enter(args) },
	}
}
