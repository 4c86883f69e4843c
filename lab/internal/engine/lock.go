package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// Killed reports whether an engine was killed while it changed a stack, and neither Recover nor
// Down has completed since. Azure may then have resources that no state tracks, because it
// confirmed their creation after the engine had ended; and a state may have resources that are
// gone. The error says that another process works on a stack of the environment right now. The
// caller holds the site's lock.
func (e *Engine) Killed() (bool, error) {
	_, err := os.Stat(e.site.RecoveryFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	killed := err == nil
	for _, p := range stacks.Projects() {
		left, err := e.leftLocks(p.Name)
		if err != nil {
			return false, err
		}
		killed = killed || len(left) > 0
	}
	return killed, nil
}

// needsRecovery records that the states may not agree with Azure and the cluster.
func (e *Engine) needsRecovery() error { return os.WriteFile(e.site.RecoveryFile(), nil, 0o600) }

// recovered deletes the record.
func (e *Engine) recovered() error {
	if err := os.Remove(e.site.RecoveryFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unlock does what `pulumi cancel` does, also for a stack that was just being created: it removes
// the backend's locks that a killed engine left on a stack. Nothing else would ever remove them. It
// first records that a recovery is needed.
func (e *Engine) unlock(project string) error {
	left, err := e.leftLocks(project)
	if err != nil || len(left) == 0 {
		return err
	}
	if err := e.needsRecovery(); err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the lock that a killed command left on stack %s/%s: %w", project, e.site.Environment, err)
		}
	}
	return nil
}

// leftLocks returns the files of the backend's locks on the project's stack that only a killed
// engine can have left. The error names a process that works on the stack. That process is the
// user's own pulumi, because the caller holds the site's lock.
func (e *Engine) leftLocks(project string) ([]string, error) {
	paths, err := lockFiles(e.site, project)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its holder has finished
		}
		if err != nil {
			return nil, err
		}
		var holder lockHolder
		if err := json.Unmarshal(text, &holder); err != nil {
			return nil, fmt.Errorf("the lock %s on stack %s/%s is malformed; remove it when no pulumi runs: %w",
				path, project, e.site.Environment, err)
		}
		alive, err := holder.alive()
		if err != nil {
			return nil, fmt.Errorf("look for the process that holds %s: %w", path, err)
		}
		if alive {
			return nil, fmt.Errorf("process %d works on stack %s/%s; wait for it", holder.PID, project, e.site.Environment)
		}
		left = append(left, path)
	}
	return left, nil
}

// lockFiles returns the files of the backend's locks on the project's stack.
func lockFiles(s site.Site, project string) ([]string, error) {
	return filepath.Glob(filepath.Join(s.BackendDir(), ".pulumi", "locks", "*", project, s.Environment, "*.json"))
}

// lockHolder is the content that Pulumi's file backend writes into a lock.
type lockHolder struct {
	PID      int    `json:"pid"`
	Hostname string `json:"hostname"`
}

// alive reports whether the holder still runs. A holder on a machine of another name does not: the
// simulated Azure answers on this machine only, so the lock is older than the name of the machine,
// or of the container.
func (h lockHolder) alive() (bool, error) {
	host, err := os.Hostname()
	if err != nil || host != h.Hostname || h.PID <= 0 {
		return false, err
	}
	err = syscall.Kill(h.PID, 0)
	if errors.Is(err, syscall.ESRCH) {
		return false, nil
	}
	if err != nil && !errors.Is(err, syscall.EPERM) { // a process of another user is alive too
		return false, err
	}
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		return true, nil //nolint:nilerr // no /proc, as on macOS: it cannot be asked who has the number now
	}
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(h.PID), "cmdline"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false, nil
	}
	// A process that ended and was not collected by its parent has no arguments; and after a
	// restart of the machine its number may belong to any process.
	program, _, _ := bytes.Cut(text, []byte{0})
	return strings.HasPrefix(filepath.Base(string(program)), "pulumi"), err
}
