package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// Command is the hidden command of the lab that runs Serve; its argument is the site's directory.
const Command = "serve"

// startTimeout bounds the wait for the providers: they answer within a second, unless the machine
// is very busy.
const startTimeout = time.Minute

// stopTimeout bounds the wait for the background process to end; it gives each part of the control
// plane its time.
const stopTimeout = 90 * time.Second

// Start runs the background process, detached from the terminal, and returns when it serves the
// providers. The control plane may still be starting: see WaitForCluster. If a process runs
// already, Start returns its record, unless the configuration has changed in a way that isAsWanted
// notices: then it restarts the process.
func Start(ctx context.Context, config Config) (site.Record, error) {
	s := config.Site
	record, running, err := s.Running()
	if err != nil {
		return record, err
	}
	if running && record.Ending {
		if err := awaitEnd(ctx, s, record.PID); err != nil {
			return record, err
		}
		running = false
	}
	if running {
		if same, err := isAsWanted(config); same || err != nil {
			return record, err
		}
		if err := Stop(ctx, s); err != nil {
			return site.Record{}, err
		}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return site.Record{}, err
	}
	if err := os.WriteFile(configFile(s), text, 0o600); err != nil {
		return site.Record{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return site.Record{}, err
	}
	return Resume(ctx, s, self)
}

// Resume runs the background process of a site in which none runs, with the configuration of the
// last start there. The program is the lab's binary, of the version that the site is from. Resume
// returns as Start does.
func Resume(ctx context.Context, s site.Site, program string) (record site.Record, err error) {
	if err := removeRecord(s); err != nil {
		return site.Record{}, err
	}
	process, ended, err := spawn(s, program)
	if err != nil {
		return site.Record{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = site.WaitFor(waiting, func() (bool, error) {
		select {
		case err := <-ended:
			return false, errors.Join(errors.New("it ended at once"), err)
		default:
		}
		var running bool
		record, running, err = s.Running()
		return running, err
	})
	if err != nil {
		// The process has not written its record yet, so no later command could find it.
		if stopErr := process.Signal(syscall.SIGTERM); stopErr == nil {
			<-ended
		}
		return site.Record{}, fmt.Errorf("the lab's background process did not start: %w\n%s", err, Log(s))
	}
	return record, nil
}

// isAsWanted reports whether the running process has a cluster if one is wanted, was started with
// the same resources of other owners, which are put into the simulated Azure only at its start, and
// with the same choice about delivery from Git.
func isAsWanted(config Config) (bool, error) {
	running, err := ReadConfig(config.Site.Dir)
	if err != nil {
		return false, err
	}
	if none := (controlplane.Binaries{}); running.Binaries == none && config.Binaries != none {
		return false, nil
	}
	if len(config.Existing) == 0 {
		running.Existing = nil // the resources of the running process do no harm
	}
	has, err := json.Marshal(Config{GitOps: running.GitOps, Existing: running.Existing})
	if err != nil {
		return false, err
	}
	wants, err := json.Marshal(Config{GitOps: config.GitOps, Existing: config.Existing})
	return bytes.Equal(has, wants), err
}

// spawn starts the process in a session of its own, so that it neither sees the terminal's Ctrl-C
// nor ends with it. The channel returns the error with which it ended, and is closed then.
func spawn(s site.Site, program string) (child *os.Process, ended <-chan error, err error) {
	log, err := os.OpenFile(s.LogFile(Command), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close() // the child has its own descriptor
	process := exec.Command(program, Command, s.Dir)
	process.Dir = s.Dir
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the lab's background process: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)
		done <- process.Wait()
	}()
	return process.Process, done, nil
}

// WaitForCluster returns when the control plane of the running background process is usable.
func WaitForCluster(ctx context.Context, s site.Site) error {
	err := site.WaitFor(ctx, func() (bool, error) {
		if _, err := os.Stat(s.KubeconfigFile()); err == nil {
			return true, nil
		}
		_, running, err := s.Running()
		if err == nil && !running {
			err = errors.New("the background process ended")
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("the lab's Kubernetes API server did not start: %w\n%s", err, Log(s))
	}
	return nil
}

// Stop ends the background process, and with it the control plane; it is no error if none runs. It
// also ends the control plane's processes that a killed background process has left.
func Stop(ctx context.Context, s site.Site) error {
	record, running, err := s.Running()
	if err != nil {
		return err
	}
	if !running {
		return controlplane.Reap(s.ControlPlaneDir())
	}
	if err := syscall.Kill(record.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the lab's background process %d: %w", record.PID, err)
	}
	if err := awaitEnd(ctx, s, record.PID); err != nil {
		return err
	}
	return controlplane.Reap(s.ControlPlaneDir())
}

// Control returns the control of the simulated Azure of a running background process; the caller
// closes it. All commands that need to know what is in Azure run while that process does.
func Control(s site.Site) (*azure.Control, error) {
	record, running, err := s.Running()
	if err == nil && (!running || record.Ending) {
		err = fmt.Errorf("the lab's background process has ended; its log %s says why", s.LogFile(Command))
	}
	if err != nil {
		return nil, err
	}
	return azure.Connect(record.AzurePort)
}

// awaitEnd waits until the background process has ended.
func awaitEnd(ctx context.Context, s site.Site, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	err := site.WaitFor(ctx, func() (bool, error) {
		_, running, err := s.Running()
		return !running, err
	})
	if err != nil {
		return fmt.Errorf("the lab's background process %d does not end: %w\n%s", pid, err, Log(s))
	}
	return nil
}

// Log returns the end of the background process' log, or the reason why it cannot be read.
func Log(s site.Site) string {
	text, err := site.EndOfLog(s.LogFile(Command))
	if err != nil {
		return err.Error()
	}
	return text
}
