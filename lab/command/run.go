package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

// Exit codes beside those of package cli.
const (
	exitChanges   = 3 // diff found some
	exitDangerous = 4 // diff found some that a person must consent to
	exitRefused   = 5 // diff found a change of the contract that breaks readers
)

// Run runs the command that args name and returns the exit code. The command's answer goes to
// stdout; progress and errors go to stderr. Ctrl-C, SIGTERM and the end of the terminal session
// stop it.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, cancel := cli.UntilStopped(ctx)
	defer cancel()
	goesOn := context.AfterFunc(ctx, func() {
		fmt.Fprintln(stderr, "\nInterrupted: what is under way is brought to an end first.")
	})
	defer goesOn()
	root := newCommand()
	root.SetOut(stdout)
	root.SetErr(stderr)
	code, message := outcome(cli.Execute(ctx, root, args))
	if message != "" {
		fmt.Fprintln(stderr, message)
	}
	return code
}

// outcome returns the exit code of a command that ended with err, and the message about it.
func outcome(err error) (code int, message string) {
	var usage cli.UsageError
	var mistake world.Mistake
	var stopped interruptedError
	var found foundChanges
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &stopped):
		return cli.Interrupted, err.Error()
	case errors.As(err, &found) && found.refused > 0: // no label allows it
		return exitRefused, ""
	case errors.As(err, &found) && found.dangerous > 0:
		return exitDangerous, ""
	case errors.As(err, &found):
		return exitChanges, ""
	case errors.As(err, &usage), errors.As(err, &mistake):
		return cli.Mistake, "Error: " + err.Error()
	default:
		return cli.Failed, "Error: " + err.Error()
	}
}
