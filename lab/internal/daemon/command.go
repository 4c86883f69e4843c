package daemon

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// NewCommand returns an internal command for each program that brings labs up: the program starts
// itself with it as the background process.
func NewCommand() *cobra.Command {
	return &cobra.Command{Use: Command + " DIR", Hidden: true, Args: cobra.ExactArgs(1), RunE: serve}
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
