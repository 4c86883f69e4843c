package engine

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// cli runs the Pulumi CLI in a process group of its own. The Automation API's own command shares the terminal's: at a
// Ctrl-C the terminal interrupts the CLI and so does the Automation API, and the CLI takes the second interrupt for an
// order to stop at once and to orphan what it is creating.
type cli struct {
	auto.PulumiCommand // answers the version
	path               string
}

// interruptedEnd is how long an interrupted CLI may take to finish what is under way before it is killed: several times
// what any operation takes here, for now and then an interrupted engine waits for a program that waits for the engine.
const interruptedEnd = 20 * time.Second

// Run implements auto.PulumiCommand; it returns what the CLI wrote to its standard output and error, and its exit code.
func (c cli) Run(ctx context.Context, workdir string, stdin io.Reader, moreOutput, moreErrorOutput []io.Writer,
	moreVariables []string, args ...string,
) (stdout, stderr string, code int, err error) {
	var out, errOut bytes.Buffer
	command := exec.CommandContext(ctx, c.path, append([]string{"--non-interactive"}, args...)...)
	command.Dir = workdir
	command.Stdin = stdin
	command.Stdout = io.MultiWriter(append(slices.Clone(moreOutput), &out)...)
	command.Stderr = io.MultiWriter(append(slices.Clone(moreErrorOutput), &errOut)...)
	command.Env = slices.Concat(os.Environ(), moreVariables, []string{"PULUMI_AUTOMATION_API=true"})
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = interruptedEnd
	err = command.Run()
	code = -1
	if command.ProcessState != nil {
		code = command.ProcessState.ExitCode()
	}
	return out.String(), errOut.String(), code, err
}

// newCLI returns the CLI that PATH leads to.
func newCLI() (cli, error) {
	path, err := exec.LookPath("pulumi")
	if err != nil {
		return cli{}, err
	}
	known, err := auto.NewPulumiCommand(nil) // checks that the version is one that the Automation API can drive
	return cli{PulumiCommand: known, path: path}, err
}

var _ auto.PulumiCommand = cli{}
