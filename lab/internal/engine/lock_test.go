package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// lock writes the lock that the file backend writes when a process on host locks the project's
// stack.
func lock(t *testing.T, s site.Site, project, host string, pid int) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"pid": pid, "username": "me", "hostname": host, "timestamp": "2024-01-01T00:00:00Z"})
	require.NoError(t, err)
	file := filepath.Join(s.BackendDir(), ".pulumi", "locks", "organization", project, s.Environment, "an-id.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

// ended returns the id of a process that has ended.
func ended(t *testing.T) int {
	t.Helper()
	command := exec.CommandContext(t.Context(), "true")
	require.NoError(t, command.Run())
	return command.Process.Pid
}

func hostname(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	require.NoError(t, err)
	return host
}

func TestUnit_OnlyAKilledEnginesLockIsTakenForOne(t *testing.T) {
	t.Parallel()
	for name, holder := range map[string]lockHolder{
		"ended":             {PID: ended(t), Hostname: hostname(t)},
		"another machine's": {PID: os.Getpid(), Hostname: "not-" + hostname(t)},
		"number reused":     {PID: os.Getpid(), Hostname: hostname(t)}, // by this test, which is no pulumi
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &Engine{site: site.Site{Environment: "dev", Dir: t.TempDir()}}
			killed, err := e.Killed()
			require.NoError(t, err)
			assert.False(t, killed, "nobody worked")
			lock(t, e.site, stacks.Bootstrap.Name, holder.Hostname, holder.PID)
			killed, err = e.Killed()
			require.NoError(t, err)
			assert.True(t, killed)
		})
	}
}

func TestUnit_ALivingPulumiIsWaitedFor(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	pulumi := &exec.Cmd{Path: bash, Args: []string{"/usr/bin/pulumi", "-c", "echo started; read"}}
	input, err := pulumi.StdinPipe()
	require.NoError(t, err)
	output, err := pulumi.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, pulumi.Start())
	// Start returns when the kernel has closed the old program's files, a moment before it shows
	// the new one's arguments.
	_, err = bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, input.Close())
		require.Error(t, pulumi.Wait(), "there was nothing to read")
	})

	e := &Engine{site: site.Site{Environment: "dev", Dir: t.TempDir()}}
	lock(t, e.site, stacks.Apps.Name, hostname(t), pulumi.Process.Pid)
	want := fmt.Sprintf("process %d works on stack gridos-apps/dev; wait for it", pulumi.Process.Pid)
	_, err = e.Killed()
	require.EqualError(t, err, want)
	require.EqualError(t, e.unlock(stacks.Apps.Name), want)
	require.NoError(t, e.unlock(stacks.Infra.Name))
}

// The lock is the only trace of resources that no state tracks. A preview must leave it. A command
// that removes it, and is stopped before all states agree with Azure and the cluster, must not lose
// the trace.
func TestEngine_OnlyACompleteRecoveryForgetsAKilledEngine(t *testing.T) {
	e := newEngine(t, azure.Options{})
	infra := partOf(t, stacks.Infra)
	infra.program = func(*pulumi.Context) error { return nil }
	_, err := e.one(t.Context(), upOperation(nil), infra)
	require.NoError(t, err)
	lock(t, e.site, stacks.Infra.Name, hostname(t), ended(t))

	killed := func() bool {
		killed, err := e.Killed()
		require.NoError(t, err)
		return killed
	}
	nothing := func(string, map[string]any) (string, bool, error) { return "", false, nil }
	_, err = e.one(t.Context(), previewOperation(nil), infra)
	require.NoError(t, err)
	assert.True(t, killed(), "after a preview")

	require.NoError(t, e.AwaitLeftovers(t.Context()))
	left, err := e.leftLocks(stacks.Infra.Name)
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.True(t, killed(), "before anything is recovered")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err = e.Recover(stopped, nil, nothing)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, killed(), "after a recovery that was stopped")
	_, err = e.one(t.Context(), upOperation(nil), infra)
	require.NoError(t, err)
	assert.True(t, killed(), "after an update")

	_, err = e.Recover(t.Context(), promptly(), nothing)
	require.NoError(t, err)
	assert.False(t, killed(), "after a recovery")
}
