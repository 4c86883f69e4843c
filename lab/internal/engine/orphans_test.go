package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// A provider whose parent is no engine is ended, and a provider of another lab is not.
func TestUnit_ProvidersOfKilledEnginesAreEnded(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows whose a process is")
	}
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "pulumi-resource-kubernetes")
	require.NoError(t, os.Symlink(sleep, program)) // a process has the name by which it was started
	run := func(s site.Site) *exec.Cmd {
		command := exec.CommandContext(t.Context(), program)
		command.Args = []string{"sleep", "600"} // one binary may be many programs, selected by this name
		command.Env = append(os.Environ(), "PULUMI_HOME="+s.HomeDir())
		require.NoError(t, command.Start())
		return command
	}
	ours, theirs := site.Site{Dir: t.TempDir()}, site.Site{Dir: t.TempDir()}
	orphan, neighbour := run(ours), run(theirs)
	// Start returns a moment before the kernel shows the new program's name and variables.
	for s, command := range map[site.Site]*exec.Cmd{ours: orphan, theirs: neighbour} {
		require.NoError(t, site.WaitFor(t.Context(), func() (bool, error) {
			p, err := procfs.NewProc(command.Process.Pid)
			if err != nil {
				return false, err
			}
			variables, err := p.Environ()
			return slices.Contains(variables, "PULUMI_HOME="+s.HomeDir()), err
		}))
	}

	require.NoError(t, (&Engine{site: ours}).endOrphans(t.Context()))
	var ended *exec.ExitError
	require.ErrorAs(t, orphan.Wait(), &ended)
	assert.Equal(t, syscall.SIGTERM, ended.Sys().(syscall.WaitStatus).Signal())
	require.NoError(t, neighbour.Process.Signal(syscall.Signal(0)), "it still runs")
	require.NoError(t, neighbour.Process.Kill())
	require.Error(t, neighbour.Wait())
}
