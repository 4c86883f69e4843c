package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// endOrphans ends the providers of killed engines, and waits for their end: nothing else ends them,
// and they may still be at work. It recognises them by their home and by a parent that is no
// engine. Only Linux shows the home; other systems keep them.
func (e *Engine) endOrphans(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	processes, err := procfs.AllProcs()
	if err != nil {
		return fmt.Errorf("look for what killed engines have left running: %w", err)
	}
	names := map[int]string{}
	for _, p := range processes {
		if name, err := p.Comm(); err == nil { // else it has ended
			names[p.PID] = name
		}
	}
	var ending []int
	var failed []error
	for _, p := range processes {
		stat, err := p.Stat()
		if err != nil || !strings.HasPrefix(stat.Comm, "pulumi-resource") || names[stat.PPID] == "pulumi" {
			continue
		}
		environment, err := p.Environ()
		if err != nil || !slices.Contains(environment, "PULUMI_HOME="+e.site.HomeDir()) {
			continue // it has ended, or belongs to another user
		}
		if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			failed = append(failed, fmt.Errorf("end the provider %d, whose engine was killed: %w", p.PID, err))
			continue
		}
		ending = append(ending, p.PID)
	}
	err = site.WaitFor(ctx, func() (bool, error) {
		ending = slices.DeleteFunc(ending, hasEnded)
		return len(ending) == 0, nil
	})
	if err != nil {
		failed = append(failed, fmt.Errorf("providers of an engine that was killed do not end, processes %v: %w", ending, err))
	}
	return errors.Join(failed...)
}

// hasEnded reports whether a process is gone, or is only kept until its parent collects it.
func hasEnded(pid int) bool {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return true
	}
	stat, err := p.Stat()
	return err != nil || stat.State == "Z"
}
