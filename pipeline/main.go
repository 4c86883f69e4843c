// Command pipeline has the commands that the workflows in .github/workflows run: previews of real
// environments, updates, drift, releases of the application. A user can run each command by hand
// too, with their own rights.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
)

// Exit codes beside those of package cli, that workflows rely on.
const (
	exitChanges     = 3 // preview or drift found some
	exitDangerous   = 4 // preview found some that need a reviewer's consent, or guard found no consent
	exitNotKnown    = 5 // vulnerabilities could not look: nothing was audited; preflight and support have questions without an answer
	exitRefused     = 6 // preflight found something that Azure would refuse
	exitNotApproved = 7 // deploy found that the update would differ from the approved plan
	exitBreaks      = 8 // guard found a change of the contract that breaks readers
	exitEnded       = 9 // support found a version that is out of support
)

func main() {
	ctx, cancel := cli.UntilStopped(context.Background())
	defer cancel()
	os.Exit(run(ctx, newCommand(), os.Args[1:]))
}

func run(ctx context.Context, root *cobra.Command, args []string) int {
	err := cli.Execute(ctx, root, args)
	var found verdict
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(root.ErrOrStderr(), "Stopped.", err)
		return cli.Interrupted
	case errors.As(err, &found):
		return int(found)
	case errors.As(err, new(cli.UsageError)):
		fmt.Fprintln(root.ErrOrStderr(), "Error:", err)
		return cli.Mistake
	default:
		fmt.Fprintln(root.ErrOrStderr(), "Error:", err)
		return cli.Failed
	}
}

// verdict ends a command whose exit code reports its finding.
type verdict int

// Error implements error; main does not print it, because the command has already reported it in
// its own words.
func (v verdict) Error() string { return fmt.Sprintf("exit code %d", int(v)) }

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "pipeline",
		Short: "What the workflows of this repository run",
		Long: `What the workflows in .github/workflows run, for people too: the rights are those of the account that runs it.

Exit codes: 0 done, or nothing found; 1 failed; 2 a mistake in the command line; 3 changes, or drift; 4 dangerous changes; 5 not
known: nothing was audited, Azure did not answer all, or no date is known of a version; 6 Azure would refuse a deployment; 7 the
deployment is not what was approved; 8 other teams' programs would break; 9 a version is out of support; 130 interrupted. (go run makes
1 of them all; where the code matters, build it with go build -o bin/pipeline ./pipeline.)`,
		Example: `  go run ./pipeline preflight -s dev       can the subscription take dev?
  go run ./pipeline preview -s dev         what would an update change in the real dev?
  go run ./pipeline drift -s prod          what have others changed in it?
  go run ./pipeline manifests --help       what does an edit of the manifests change in the cluster?
  go run ./pipeline plan -s dev            write down what an update would do, for an approval
  go run ./pipeline deploy --help          update the four projects in order, as approved
  go run ./pipeline smoke --help           send a request by the way that users take
  go run ./pipeline release --help         set the image of an environment, by a commit
  go run ./pipeline promote --help         propose it for the next, by a pull request`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(previewCommand(), driftCommand(), manifestsCommand(), planCommand(), deployCommand(), reportCommand(),
		guardCommand(), consentsCommand(), againCommand(), releaseCommand(), imageCommand(), promoteCommand(),
		commentCommand(), driftIssueCommand(), workflowsCommand(), vulnerabilitiesCommand(),
		preflightCommand(), smokeCommand(), pricesCommand(), supportCommand())
	return root
}
