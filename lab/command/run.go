package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/world"
)

// Exit codes that scripts can rely on.
const (
	exitFailed      = 1
	exitMistake     = 2   // in the command line or in the configuration: nothing was touched
	exitChanges     = 3   // diff found some
	exitDangerous   = 4   // diff found some that a person must consent to
	exitInterrupted = 130 // as shells say it
)

// Run runs the command that args name and returns the exit code. What the command answers goes to
// stdout; progress and errors go to stderr. Ctrl-C, a termination and the end of the terminal
// session stop it.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	stop := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup set it: building the tools can outlast the terminal session
		stop = append(stop, syscall.SIGHUP)
	}
	ctx, cancel := signal.NotifyContext(ctx, stop...)
	defer cancel()
	goesOn := context.AfterFunc(ctx, func() {
		fmt.Fprintln(stderr, "\nInterrupted: what is under way is brought to an end first.")
	})
	defer goesOn()
	root := newCommand()
	root.SetOut(stdout)
	root.SetErr(stderr)
	code, message := outcome(execute(ctx, root, args))
	if message != "" {
		fmt.Fprintln(stderr, message)
	}
	return code
}

// outcome returns the exit code of a command that ended with err, and what is said about it.
func outcome(err error) (code int, message string) {
	var usage usageError
	var mistake world.Mistake
	var stopped interruptedError
	var found foundChanges
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &stopped):
		return exitInterrupted, err.Error()
	case errors.As(err, &found) && found.dangerous > 0:
		return exitDangerous, ""
	case errors.As(err, &found):
		return exitChanges, ""
	case errors.As(err, &usage), errors.As(err, &mistake):
		return exitMistake, "Error: " + err.Error()
	default:
		return exitFailed, "Error: " + err.Error()
	}
}

// execute runs the command that args name. What cobra refuses before a command begins is a mistake
// in the command line; its errors have no types to tell them by.
func execute(ctx context.Context, root *cobra.Command, args []string) error {
	began := false
	for _, verb := range root.Commands() {
		if run := verb.RunE; run != nil {
			verb.RunE = func(cmd *cobra.Command, args []string) error {
				began = true
				return run(cmd, args)
			}
		}
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !began {
		return usageError{err}
	}
	return err
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// Unwrap gives access to the single mistakes.
func (e usageError) Unwrap() error { return e.error }
