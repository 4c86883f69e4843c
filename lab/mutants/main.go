// Command mutants changes the literals, conditions and returns of the programs, one at a time, and
// lists the changes that no test notices. `make mutants` runs it.
//
// A setting is a literal that decides an input or an option that a program registers, or a default
// of its configuration. Which literals decide is observed and not guessed: the program runs with
// each literal changed, and either its registrations in some environment then differ from the
// golden file, or it does not run at all. A literal without such an effect still counts as a
// setting if it is among the values of Pulumi or a chart, or of the exported structs into which the
// configuration is read. Then no environment uses it, and only a test can notice. All other
// literals, such as the names of configuration keys or the text of a message, are no settings.
//
// A build for each mutant would take hours. Instead, all mutants are compiled into the test
// binaries at once, each behind a question, and a running test binary is told which mutant to be
// (mutant schemata; Untch, Offutt and Harrold, "Mutation analysis using mutant schemata", ISSTA
// 1993). The source is not changed: the go command gets the instrumented files as an overlay.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// exitSurvivors is the exit code when a mutant survived that is not accepted, or an accepted one
// was killed.
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
