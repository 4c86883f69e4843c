package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is one process that this package starts by itself.
type child struct {
	name  string
	path  string
	args  []string
	env   []string // added to the environment of this process
	log   string
	ready string // URL that answers 200 when the component is ready
	ca    string // certificate file that ready is verified with, if it is https

	process *os.Process
	done    chan struct{} // closed when the process has ended
	err     error         // how it ended; valid after done

	mu       sync.Mutex
	expected bool // the process is supposed to end
}

// start runs the process and waits until it is ready.
func (c *child) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: not started: %w", c.name, err)
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", c.name, err)
	}
	command := exec.Command(c.path, c.args...)
	command.Stdout, command.Stderr = log, log
	command.Env = append(os.Environ(), c.env...)
	command.SysProcAttr = childAttributes()

	done := make(chan struct{})
	started := make(chan error, 1)
	go func() {
		// Linux sends the parent-death signal when the *thread* that started the process ends, so this thread is kept
		// for as long as the process lives.
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
		return fmt.Errorf("start %s: %w", c.name, err)
	}
	c.process, c.done = command.Process, done
	return c.waitReady(ctx)
}

func (c *child) waitReady(ctx context.Context) error {
	client, err := c.probeClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.ready, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		var last string
		if response, err := client.Do(request); err != nil {
			last = err.Error()
		} else {
			last = response.Status
			if err := response.Body.Close(); err != nil {
				last = err.Error()
			} else if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended while starting: %w; its log %s ends with\n%s", c.name, orEnded(c.err), c.log, tail(c.log))
		case <-ctx.Done():
			return fmt.Errorf("%s did not become ready (%s): %w; its log %s ends with\n%s",
				c.name, last, ctx.Err(), c.log, tail(c.log))
		case <-ticker.C:
		}
	}
}

func (c *child) probeClient() (*http.Client, error) {
	transport := &http.Transport{}
	if c.ca != "" {
		pem, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}, nil
}

// stop ends the process: kindly, then by force. A child that was never started is stopped already.
func (c *child) stop() error {
	if c.process == nil {
		return nil
	}
	c.mu.Lock()
	c.expected = true
	c.mu.Unlock()
	if err := c.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	timeout := time.NewTimer(componentStopTimeout)
	defer timeout.Stop()
	select {
	case <-c.done:
		return nil
	case <-timeout.C:
	}
	if err := c.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", c.name, err)
	}
	<-c.done
	return nil
}

func (c *child) watch(report chan<- error) {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.expected {
		report <- exitError(c.name, c.err, c.log)
	}
}

// exitError describes a component that ended although nobody asked it to. err may be nil.
func exitError(component string, err error, log string) error {
	return fmt.Errorf("%s stopped by itself: %w; its log %s ends with\n%s", component, orEnded(err), log, tail(log))
}

// errEnded stands for an exit whose status is zero or not known.
var errEnded = errors.New("the process ended")

func orEnded(err error) error {
	if err == nil {
		return errEnded
	}
	return err
}

// tail is the last lines of a log, enough to hold a component's reason to give up.
func tail(file string) string {
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
