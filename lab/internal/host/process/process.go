// Package process runs the programs of a lab as child processes: it waits until each is ready,
// notices if one ends by itself, and stops them in order.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// StartTimeout bounds the wait for one process. It is generous because the first start on a cold
	// two-core machine reads hundreds of MB of binaries; a process that dies ends the wait at once.
	StartTimeout = 2 * time.Minute
	// StopTimeout is how long a process may take to end after a signal before it is killed.
	StopTimeout = 15 * time.Second
	// pollInterval is how often readiness is checked.
	pollInterval = 100 * time.Millisecond
)

// Process is one child process. Set the exported fields, call Start, and call Stop at the end; a
// stopped process can be started again. On Linux it ends together with the calling process, however
// that ends.
type Process struct {
	// Name is its name in errors, such as kube-scheduler.
	Name string
	// Path is the absolute path of the binary.
	Path string
	Args []string
	// Env has variables, NAME=value, that are added to those of Environment.
	Env []string
	// Dir is its working directory; that of the calling process if it is empty.
	Dir string
	// Log is the file for the output of the process. Each Start replaces it, with mode 0600.
	Log string
	// Ready is a URL that answers 200 when the process is ready, or tcp://host:port for one that is
	// ready when it listens. Without it the process is ready when it runs.
	Ready string
	// CA is the certificate file with which Ready is verified, if it is https.
	CA string
	// Unprivileged says that the program refuses to run as root.
	Unprivileged bool
	// End is the signal that ends it; SIGTERM if it is 0.
	End syscall.Signal

	process *os.Process
	done    chan struct{} // closed when the process has ended
	err     error         // how it ended; valid after done

	mu       sync.Mutex
	expected bool // the process is supposed to end
}

// Start runs the process and waits until it is ready, as long as ctx allows. A process that did not
// become ready must still be stopped. The error has the end of the log.
func (c *Process) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: not started: %w", c.Name, err)
	}
	if err := c.alone(ctx); err != nil {
		return err
	}
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", c.Name, err)
	}
	command := exec.Command(c.Path, c.Args...)
	command.Stdout, command.Stderr = log, log
	command.Dir = c.Dir
	command.Env = append(Environment(filepath.Dir(c.Log)), c.Env...)
	command.SysProcAttr = childAttributes()
	if c.Unprivileged {
		command.SysProcAttr = Unprivileged()
	}

	done := make(chan struct{})
	started := make(chan error, 1)
	go func() {
		// Linux sends the parent-death signal when the *thread* that started the process ends, so this
		// thread is kept for as long as the process lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close() // the process has its own descriptor; nothing is written through this one
		err := command.Start()
		started <- err
		if err == nil {
			c.err = command.Wait()
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", c.Name, err)
	}
	c.mu.Lock()
	c.process, c.done, c.expected = command.Process, done, false
	c.mu.Unlock()
	if c.Ready == "" {
		return nil
	}
	return c.waitReady(ctx)
}

func (c *Process) waitReady(ctx context.Context) error {
	ask, end, err := c.newProbe()
	if err != nil {
		return err
	}
	defer end()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		notReady := ask(ctx)
		if notReady == nil {
			select {
			case <-c.done: // another process answered; the next select says how this one ended
			default:
				return nil
			}
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended while starting: %w; its log %s ends with\n%s", c.Name, orEnded(c.err), c.Log, Tail(c.Log))
		case <-ctx.Done():
			return fmt.Errorf("%s did not become ready (%w): %w; its log %s ends with\n%s",
				c.Name, notReady, ctx.Err(), c.Log, Tail(c.Log))
		case <-ticker.C:
		}
	}
}

// Stop ends the process: first with a signal, then by force. A process that was never started
// counts as stopped.
func (c *Process) Stop() error {
	if c.process == nil {
		return nil
	}
	c.mu.Lock()
	c.expected = true
	c.mu.Unlock()
	end := syscall.SIGTERM
	if c.End != 0 {
		end = c.End
	}
	if err := c.process.Signal(end); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", c.Name, err)
	}
	timeout := time.NewTimer(StopTimeout)
	defer timeout.Stop()
	select {
	case <-c.done:
		return nil
	case <-timeout.C:
	}
	return c.Kill()
}

// Kill is Stop by force at once, for a process with nothing to lose.
func (c *Process) Kill() error {
	if c.process == nil {
		return nil
	}
	c.mu.Lock()
	c.expected = true
	c.mu.Unlock()
	if err := c.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", c.Name, err)
	}
	<-c.done
	return nil
}

// PID is the process' id, or 0 before the first Start.
func (c *Process) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return 0
	}
	return c.process.Pid
}

// Watch waits for the end of a started process, and reports it unless Stop was called.
func (c *Process) Watch(report chan<- error) {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.expected {
		report <- ExitError(c.Name, c.err, c.Log)
	}
}

// ExitError describes a process that ended without being asked to. err may be nil.
func ExitError(name string, err error, log string) error {
	return fmt.Errorf("%s stopped by itself: %w; its log %s ends with\n%s", name, orEnded(err), log, Tail(log))
}

// errEnded stands for an exit whose status is zero or not known.
var errEnded = errors.New("the process ended")

func orEnded(err error) error {
	if err == nil {
		return errEnded
	}
	return err
}

// Tail returns the last lines of a log, enough to contain a component's reason for giving up.
func Tail(file string) string {
	const lines, bytes = 12, 8 << 10
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Sprintf("(the log cannot be read: %v)", err)
	}
	content = content[max(0, len(content)-bytes):]
	if len(content) == 0 {
		return "(the log is empty)"
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
