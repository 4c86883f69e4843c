// Command lab runs the whole platform on one machine: the real Pulumi engine against a simulated Azure and a real
// Kubernetes API server. `go run ./lab up` is where to start.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes that scripts can rely on.
const (
	exitFailed      = 1
	exitMistake     = 2   // in the command line or in the configuration: nothing was touched
	exitChanges     = 3   // diff found some
	exitDangerous   = 4   // diff found some that need somebody's consent
	exitInterrupted = 130 // as shells say it
)

func main() {
	stop := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup: to build the tools may take longer than one is signed in
		stop = append(stop, syscall.SIGHUP)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), stop...)
	defer cancel()
	os.Exit(run(ctx))
}

func run(ctx context.Context) int {
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case <-ctx.Done():
			fmt.Fprintln(os.Stderr, "\nInterrupted: what is under way is brought to an end first.")
		case <-finished:
		}
	}()
	err := execute(ctx, newCommand(), os.Args[1:])
	var usage usageError
	var stopped interruptedError
	var found foundChanges
	switch {
	case err == nil:
		return 0
	case errors.As(err, &stopped):
		fmt.Fprintln(os.Stderr, err)
		return exitInterrupted
	case errors.As(err, &found) && found.dangerous > 0:
		return exitDangerous
	case errors.As(err, &found):
		return exitChanges
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "Error:", err)
		return exitMistake
	default:
		fmt.Fprintln(os.Stderr, "Error:", err)
		return exitFailed
	}
}

// execute runs the command that args name. Cobra's own error for a command that does not exist has no type to tell it by.
func execute(ctx context.Context, root *cobra.Command, args []string) error {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	// A shell that completes a command line asks by a hidden command, which cobra adds only when it is called.
	if len(args) == 0 || (args[0] != cobra.ShellCompRequestCmd && args[0] != cobra.ShellCompNoDescRequestCmd) {
		if _, _, err := root.Find(args); err != nil {
			return usageError{err}
		}
	}
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// usageError is a mistake in the command line or in the configuration.
type usageError struct{ error }

// Unwrap gives access to the single mistakes.
func (e usageError) Unwrap() error { return e.error }
