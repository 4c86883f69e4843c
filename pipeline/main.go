// Command pipeline has the commands that the workflows in .github/workflows run: previews of real
// environments, updates, drift, releases of the application. A user can run each command by hand
// too, with their own rights.
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

// Exit codes that workflows rely on.
const (
	exitFailed      = 1
	exitMistake     = 2   // in the command line: nothing was touched
	exitChanges     = 3   // preview or drift found some
	exitDangerous   = 4   // preview found some that need a reviewer's consent, or guard found no consent
	exitNotKnown    = 5   // vulnerabilities could not look: nothing was audited; preflight has questions without an answer
	exitRefused     = 6   // preflight found something that Azure would refuse
	exitNotApproved = 7   // deploy found that the update would differ from the approved plan
	exitInterrupted = 130 // as shells say it
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	os.Exit(run(ctx, newCommand(), os.Args[1:]))
}

func run(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	root.InitDefaultHelpCmd()
	if _, _, err := root.Find(args); err != nil {
		fmt.Fprintln(root.ErrOrStderr(), "Error:", err)
		return exitMistake
	}
	err := root.ExecuteContext(ctx)
	var mistake usageError
	var found verdict
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(root.ErrOrStderr(), "Stopped.", err)
		return exitInterrupted
	case errors.As(err, &found):
		return int(found)
	case errors.As(err, &mistake):
		fmt.Fprintln(root.ErrOrStderr(), "Error:", err)
		return exitMistake
	default:
		fmt.Fprintln(root.ErrOrStderr(), "Error:", err)
		return exitFailed
	}
}

// usageError is a mistake in the command line or in the variables that the workflow sets.
type usageError struct{ error }

// Unwrap gives access to the single mistakes.
func (e usageError) Unwrap() error { return e.error }

// verdict ends a command whose exit code reports its finding.
type verdict int

// Error implements error; main does not print it, because the command has already reported it in
// its own words.
func (v verdict) Error() string { return fmt.Sprintf("exit code %d", int(v)) }

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "pipeline",
		Short: "What the workflows of this repository run",
		Long: `What the workflows in .github/workflows run, for people too: the rights are those of whoever runs it.

Exit codes: 0 done, or nothing found; 1 failed; 2 a mistake in the command line; 3 changes, or drift; 4 dangerous changes; 5 not
known: nothing was audited, or Azure did not answer all; 6 Azure would refuse a deployment; 7 the deployment is not what was approved;
130 interrupted. (go run makes 1 of them all; where the code matters, build it with go build -o bin/pipeline ./pipeline.)`,
		Example: `  go run ./pipeline preflight -s dev       can the subscription take dev?
  go run ./pipeline preview -s dev         what would an update change in the real dev?
  go run ./pipeline drift -s prod          what have others changed in it?
  go run ./pipeline plan -s dev            write down what an update would do, for an approval
  go run ./pipeline deploy --help          update the four projects in order, as approved
  go run ./pipeline smoke --help           send a request by the way that users take
  go run ./pipeline release --help         set the image of an environment, by a commit
  go run ./pipeline promote --help         propose it for the next, by a pull request`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(previewCommand(), driftCommand(), planCommand(), deployCommand(), reportCommand(), guardCommand(), consentsCommand(),
		againCommand(), releaseCommand(), imageCommand(), promoteCommand(), commentCommand(), driftIssueCommand(), workflowsCommand(),
		vulnerabilitiesCommand(), preflightCommand(), smokeCommand(), pricesCommand())
	return root
}

// noArgs is for commands that take flags only.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}
