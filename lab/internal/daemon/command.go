package daemon

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/cluster/nodeagent"
)

// Commands returns the internal commands of each program that brings labs up. The program starts
// itself with one as the background process, and the node agent with the other to begin a
// container.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		{Use: Command + " DIR", Hidden: true, Args: cobra.ExactArgs(1), RunE: serve},
		{
			Use: nodeagent.Command, Hidden: true, DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error { return nodeagent.Enter(cmd.Context(), args) },
		},
	}
}

// serve is the body of the background process.
func serve(cmd *cobra.Command, args []string) error {
	config, err := ReadConfig(args[0])
	if err != nil {
		return errors.Join(errors.New("this command is the lab's own; use `up`"), err)
	}
	if err := Serve(cmd.Context(), config); err != nil {
		// The error goes into the process' log, also if the process was told to stop.
		_, printErr := fmt.Fprintln(cmd.ErrOrStderr(), err)
		return errors.Join(err, printErr)
	}
	return nil
}
