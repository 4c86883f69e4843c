package engine

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
)

// endOrphans ends the providers of engines that were killed: nothing else tells them, and each keeps more than a hundred megabytes. They
// are known by their home and by a parent that is no engine. Other systems than Linux do not show the former, and keep them.
func (e *Engine) endOrphans() error {
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
	var failed []error
	for _, p := range processes {
		stat, err := p.Stat()
		if err != nil || !strings.HasPrefix(stat.Comm, "pulumi-resource") || names[stat.PPID] == "pulumi" {
			continue
		}
		environment, err := p.Environ()
		if err != nil || !slices.Contains(environment, "PULUMI_HOME="+e.site.HomeDir()) {
			continue // it has ended, or is somebody else's
		}
		if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			failed = append(failed, fmt.Errorf("end the provider %d, whose engine was killed: %w", p.PID, err))
		}
	}
	return errors.Join(failed...)
}
