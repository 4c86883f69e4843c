package chaos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// lookEvery is how often to look for a victim that does not exist yet.
const lookEvery = 5 * time.Millisecond

// errGone says that the command ended before its victim appeared.
var errGone = errors.New("the command ended before there was anything to kill")

// kill waits for the victim of a command that runs as the process command, kills it, and returns
// the project that was being worked on.
func kill(ctx context.Context, s site.Site, victim Victim, command int, ended <-chan struct{}) (string, error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		pid, project, err := find(s, victim, command)
		if err != nil {
			return "", err
		}
		if pid != 0 {
			err := syscall.Kill(pid, syscall.SIGKILL)
			if err == nil {
				return project, nil
			}
			if !errors.Is(err, syscall.ESRCH) {
				return "", fmt.Errorf("kill %s, process %d: %w", victim, pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-ended:
			return "", errGone
		case <-ticker.C:
		}
	}
}

// find returns the victim's process, or 0 if there is none now, and the project on which the engine
// works.
func find(s site.Site, victim Victim, command int) (pid int, project string, err error) {
	processes, err := procfs.AllProcs()
	if err != nil {
		return 0, "", fmt.Errorf("list processes: %w", err)
	}
	names, parents := map[int]string{}, map[int]int{}
	for _, p := range processes {
		stat, err := p.Stat()
		if err != nil || stat.State == "Z" {
			continue // it has ended
		}
		names[p.PID], parents[p.PID] = programOf(p, stat.Comm), stat.PPID
	}
	below := func(ancestor int, name string) int {
		for id, called := range names {
			if called == name && descends(parents, id, ancestor) {
				return id
			}
		}
		return 0
	}
	engine := below(command, "pulumi")
	if engine != 0 {
		project = worksIn(s, engine)
	}
	switch victim {
	case Engine:
		return engine, project, nil
	case Program:
		return command, project, nil
	case Provider:
		return below(command, "pulumi-resource-kubernetes"), project, nil
	case Azure, Controller:
		record, running, err := s.Running()
		if err != nil || !running {
			return 0, project, err
		}
		if victim == Azure {
			return record.PID, project, nil
		}
		return below(record.PID, "kube-controller-manager"), project, nil
	default:
		return 0, "", fmt.Errorf("there is no victim %q", victim)
	}
}

// programOf returns the name of the program that a process runs, because the kernel truncates its
// own name for it.
func programOf(p procfs.Proc, comm string) string {
	arguments, err := p.CmdLine()
	if err != nil || len(arguments) == 0 {
		return comm
	}
	return filepath.Base(arguments[0])
}

func descends(parents map[int]int, id, ancestor int) bool {
	for range parents { // at most as many steps as processes, whatever started or ended during the listing
		parent, ok := parents[id]
		if !ok {
			return false
		}
		if parent == ancestor {
			return true
		}
		id = parent
	}
	return false
}

// worksIn returns the project in whose folder a process works, or "".
func worksIn(s site.Site, pid int) string {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return ""
	}
	dir, err := p.Cwd()
	if err != nil {
		return ""
	}
	project, err := filepath.Rel(s.WorkDir(""), dir)
	if err != nil || strings.HasPrefix(project, "..") {
		return ""
	}
	return project
}
