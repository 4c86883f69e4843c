// Package labcli runs the lab's own commands as processes, as a person would, for programs that
// break and repair a lab from outside.
package labcli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// hang is how long a command may take: many times the usual time.
const hang = 5 * time.Minute

// Build builds the lab of a checkout, with more flags of go build. remove deletes the binary.
func Build(ctx context.Context, repository string, flags ...string) (binary string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "gridos-proofs-")
	if err != nil {
		return "", nil, err
	}
	binary, remove = filepath.Join(dir, "lab"), func() { os.RemoveAll(dir) }
	build := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", binary}, flags...), "./lab")...)
	build.Dir = repository
	if output, err := build.CombinedOutput(); err != nil {
		remove()
		return "", nil, errors.Join(fmt.Errorf("go build ./lab: %w\n%s", err, output), ctx.Err())
	}
	return binary, remove, nil
}

// Lab is a binary of the lab, and an environment that it works on.
type Lab struct {
	// Binary is the path of the program.
	Binary string
	// Env has variables, NAME=value, that are added to this process' own.
	Env []string
	// Site is the environment; the commands run in its checkout.
	Site site.Site
}

// interruptedEnd is how long an interrupted command may take before it is killed: longer than the
// time that it gives to its CLI.
const interruptedEnd = 40 * time.Second

// Command returns a command of the lab that is not started. It does not get the terminal's Ctrl-C;
// when ctx ends, it is interrupted as by one.
func (l Lab) Command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, l.Binary, append(args, "--stack", l.Site.Environment)...)
	command.Dir = l.Site.Repository
	command.Env = append(command.Environ(), l.Env...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = interruptedEnd
	return command
}

// Run runs a command to its end and returns its standard output. The error has its whole output;
// after the end of ctx it is that of ctx.
func (l Lab) Run(ctx context.Context, args ...string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, hang)
	defer cancel()
	command := l.Command(limited, args...)
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	err := command.Run()
	switch {
	case err == nil:
		return out.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("lab %s: %w", strings.Join(args, " "), ctx.Err())
	case limited.Err() != nil:
		err = fmt.Errorf("it did not end within %s", hang)
	}
	return "", fmt.Errorf("lab %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errOut.String())
}
