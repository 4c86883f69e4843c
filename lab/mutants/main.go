// Command mutants turns the literals, conditions and returns of the programs round, one at a time, and lists what no test notices.
// `make mutants` runs it.
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
