// Package cli has what the command lines of this repository share: how a command ends, and how it
// answers machines.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes that scripts can rely on. A program may have more of its own.
const (
	Failed      = 1
	Mistake     = 2   // in the command line or in the configuration: nothing was touched
	Interrupted = 130 // as shells say it
)

// UsageError is a mistake in the command line.
type UsageError struct{ Err error }

// Error implements error.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap gives access to the single mistakes.
func (e UsageError) Unwrap() error { return e.Err }

// UntilStopped returns a context that ends with Ctrl-C, a termination, or the terminal session.
// Under nohup the end of the session does not end the context: building the tools of the lab can
// outlast it.
func UntilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	stop := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		stop = append(stop, syscall.SIGHUP)
	}
	return signal.NotifyContext(ctx, stop...)
}

// Execute runs the command that args name. What cobra refuses before a command begins is a
// UsageError; cobra's own errors have no types.
func Execute(ctx context.Context, root *cobra.Command, args []string) error {
	began := false
	var watch func(of *cobra.Command)
	watch = func(of *cobra.Command) {
		if run := of.RunE; run != nil {
			of.RunE = func(cmd *cobra.Command, args []string) error {
				began = true
				return run(cmd, args)
			}
		}
		for _, verb := range of.Commands() {
			watch(verb)
		}
	}
	watch(root)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !began {
		return UsageError{err}
	}
	return err
}

// BesidesInterruption takes joined errors apart and leaves out those that only say that the command
// was interrupted. The others report failed clean-ups, and the user must see them.
func BesidesInterruption(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var rest []error
		for _, single := range several.Unwrap() {
			rest = append(rest, BesidesInterruption(single)...)
		}
		return rest
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return []error{err}
}

// OnlyOf accepts any of the names as arguments; the error lists them.
func OnlyOf(names []string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.OnlyValidArgs(cmd, args); err != nil {
			return fmt.Errorf("%w; use some of %s", err, strings.Join(names, ", "))
		}
		return nil
	}
}

const jsonFlag = "json"

// WithJSON gives cmd the flag --json.
func WithJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool(jsonFlag, false, "print JSON, for machines")
	return cmd
}

// JSON reports whether the user gave --json to a command that has the flag from WithJSON.
func JSON(cmd *cobra.Command) bool {
	given, err := cmd.Flags().GetBool(jsonFlag)
	return err == nil && given
}

// PrintJSON writes value, indented.
func PrintJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
