// Command mutants turns the literals, conditions and returns of the programs round, one at a time, and lists what no test notices.
// `make mutants` runs it.
//
// A setting is a literal that decides an input or an option that a program registers, or a default of its configuration. Which ones
// decide is seen and not guessed: the program runs as each literal turned round, and what it then registers in any environment is
// another than its golden file, or it does not run at all. A literal with no such effect is a setting all the same if it stands among
// the values of Pulumi or a chart or of the exported structs that the configuration is read into: then no environment uses it, and only
// a test can notice. All other literals, such as the names of configuration keys or what a message says, are no settings.
//
// A build for each mutant would take hours. All mutants are compiled into the test binaries at once instead, each behind a
// question, and a running test binary is told which of them is the program (mutant schemata; Untch, Offutt and Harrold, "Mutation
// analysis using mutant schemata", ISSTA 1993). The source is not touched: the go command takes the instrumented files as an
// overlay.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// exitSurvivors is the exit code when a mutant survived that is not accepted, or an accepted one was killed.
const exitSurvivors = 3

var errSurvivors = errors.New("what survives is not what lab/mutants/accepted.yaml accepts")

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := newCommand().ExecuteContext(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		if errors.Is(err, errSurvivors) {
			os.Exit(exitSurvivors)
		}
		os.Exit(1)
	}
}
