// Package pulumicli is the Pulumi CLI as the Automation API drives it, for programs that people
// stop with Ctrl-C.
package pulumicli

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

// CLI runs the Pulumi CLI in a process group of its own. The Automation API's own command runs in
// the terminal's group: at a Ctrl-C both the terminal and the Automation API interrupt the CLI, and
// at the second interrupt the CLI stops at once and orphans the resources that it is creating.
type CLI struct {
	auto.PulumiCommand // answers the version
	path               string
	patience           time.Duration
	environment        func() []string
}

// Find returns the CLI that PATH leads to. An interrupted CLI that has not finished its running
// operations after patience is killed; 0 never kills it. environment returns the variables that
// each run starts from, such as os.Environ. The error says that there is no CLI, or that its
// version is not one that the Automation API can drive.
func Find(patience time.Duration, environment func() []string) (CLI, error) {
	path, err := exec.LookPath("pulumi")
	if err != nil {
		return CLI{}, err
	}
	known, err := auto.NewPulumiCommand(nil)
	return CLI{PulumiCommand: known, path: path, patience: patience, environment: environment}, err
}

// Run implements auto.PulumiCommand; it returns what the CLI wrote to its standard output and
// error, and its exit code.
func (c CLI) Run(ctx context.Context, workdir string, stdin io.Reader, moreOutput, moreErrorOutput []io.Writer,
	moreVariables []string, args ...string,
) (stdout, stderr string, code int, err error) {
	var out, errOut bytes.Buffer
	command := exec.CommandContext(ctx, c.path, append([]string{"--non-interactive"}, args...)...)
	command.Dir = workdir
	command.Stdin = stdin
	command.Stdout = io.MultiWriter(append(slices.Clone(moreOutput), &out)...)
	command.Stderr = io.MultiWriter(append(slices.Clone(moreErrorOutput), &errOut)...)
	command.Env = slices.Concat(c.environment(), moreVariables, []string{"PULUMI_AUTOMATION_API=true"})
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = c.patience
	err = command.Run()
	code = -1
	if command.ProcessState != nil {
		code = command.ProcessState.ExitCode()
	}
	return out.String(), errOut.String(), code, err
}

var _ auto.PulumiCommand = CLI{}
