package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// Reap stops the processes that a killed process left running for the control plane in dir. Start
// does it too; Reap is for removing the cluster instead. It is an error if a living process still
// runs that control plane, and none if there is nothing to stop or no such directory.
//
// Reap takes a process for its own only if one of its arguments is exactly the one that this
// package gives it, with a path under dir. So no record of process ids is needed; a stale record
// could name a process of another program.
func Reap(dir string) (err error) {
	layout, err := newLayout(dir)
	if err != nil {
		return err
	}
	if exists, err := layout.exists(); err != nil || !exists {
		return err
	}
	lock, err := layout.acquire()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	return layout.stopLeftovers()
}

// marks are the arguments that identify the processes of this directory's control plane.
func (l layout) marks() []string {
	return []string{
		l.etcdMark(),
		l.apiServerMark(),
		"--kubeconfig=" + l.kubeconfig(controllerManagerName),
		"--kubeconfig=" + l.kubeconfig(schedulerName),
	}
}

func (l layout) etcdMark() string { return "--data-dir=" + l.etcd }

func (l layout) apiServerMark() string { return "--cert-dir=" + l.pki }

// stopLeftovers asks the processes of this directory's control plane to end, kills the remaining
// ones, and returns when all are gone.
func (l layout) stopLeftovers() error {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, process.StopTimeout}, {syscall.SIGKILL, process.StopTimeout}} {
		gone, err := l.signalLeftovers(step.signal, step.wait)
		if gone || err != nil {
			return err
		}
	}
	left, err := leftovers(l.marks()...)
	return errors.Join(err, fmt.Errorf("processes %v of the control plane in %s do not end even when killed", left, l.dir))
}

// signalLeftovers reports whether all processes of this directory are gone within the time given.
func (l layout) signalLeftovers(signal syscall.Signal, timeout time.Duration) (bool, error) {
	left, err := leftovers(l.marks()...)
	if err != nil {
		return false, err
	}
	for _, pid := range left {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return false, fmt.Errorf("stop process %d, left over from the control plane in %s: %w", pid, l.dir, err)
		}
	}
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for len(left) > 0 {
		select {
		case <-deadline.C:
			return false, nil
		case <-ticker.C:
		}
		if left, err = leftovers(l.marks()...); err != nil {
			return false, err
		}
	}
	return true, nil
}

// leftovers are the ids of the processes with one of the marks.
func leftovers(marks ...string) ([]int, error) {
	processes, err := processes()
	if err != nil {
		return nil, err
	}
	var found []int
	for pid, arguments := range processes {
		if pid != os.Getpid() && slices.ContainsFunc(arguments, func(a string) bool { return slices.Contains(marks, a) }) {
			found = append(found, pid)
		}
	}
	slices.Sort(found)
	return found, nil
}

// processes returns the arguments of every visible process, by process id. A process that has ended
// and was not yet collected by its parent has none.
func processes() (map[int][]string, error) {
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	if len(entries) == 0 {
		return processesOfPS()
	}
	all := map[int][]string{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
		if err != nil {
			return nil, fmt.Errorf("list the processes: %w", err)
		}
		content, err := os.ReadFile(entry)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ESRCH):
			continue // it has ended, or belongs to another user
		case err != nil:
			return nil, fmt.Errorf("list the processes: %w", err)
		}
		for argument := range bytes.SplitSeq(content, []byte{0}) {
			all[pid] = append(all[pid], string(argument))
		}
	}
	return all, nil
}

// processesOfPS is for systems without /proc, such as macOS. It splits arguments with a space in
// them, so there it does not recognise a control plane in a directory with a space in its path.
func processesOfPS() (map[int][]string, error) {
	output, err := exec.Command("ps", "-axww", "-o", "pid=,command=").Output()
	if err != nil {
		return nil, fmt.Errorf("list the processes with ps: %w", err)
	}
	all := map[int][]string{}
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		pid, err := strconv.Atoi(words[0])
		if err != nil {
			return nil, fmt.Errorf("list the processes with ps: %w", err)
		}
		all[pid] = words[1:]
	}
	return all, nil
}
