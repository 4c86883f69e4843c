package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parentVariable makes this test binary a process that runs a control plane, given as JSON, until
// it is killed.
const parentVariable = "CONTROLPLANE_TEST_PARENT"

func TestMain(m *testing.M) {
	if text := os.Getenv(parentVariable); text != "" {
		if err := runParent(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func runParent(text string) error {
	c := &ControlPlane{}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return err
	}
	if err := c.Start(context.Background()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "started"), nil, 0o600); err != nil {
		return err
	}
	select {}
}

func TestCluster_KilledParentLeavesNothingAfterReap(t *testing.T) {
	dir := t.TempDir()
	c := testControlPlane(t, dir)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+string(text))
	parent.Stdout, parent.Stderr = os.Stdout, os.Stderr
	require.NoError(t, parent.Start())
	t.Cleanup(func() { assert.NoError(t, Reap(dir)) })
	eventually(t, "the other process has started a control plane", func(context.Context) (bool, error) {
		_, err := os.Stat(filepath.Join(dir, "started"))
		return err == nil, nil
	})
	require.ErrorContains(t, Reap(dir), "in use", "while its parent lives, no other process may stop it")
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait(), "killed")

	layout, err := newLayout(dir)
	require.NoError(t, err)
	if runtime.GOOS == "linux" {
		eventually(t, "the kernel ends the components", func(context.Context) (bool, error) {
			left, err := leftovers(layout.marks()...)
			return len(left) == 0, err
		})
	}
	require.NoError(t, Reap(dir))
	requireNoneLeft(t, dir)
	require.NoError(t, Reap(dir), "nothing to do is no error")
	require.NoError(t, Reap(filepath.Join(dir, "never-existed")))

	start(t, c) // after processes were killed it can be started again
	require.NoError(t, c.Stop())
}

func TestCluster_DeadComponentIsReported(t *testing.T) {
	dir := t.TempDir()
	c := testControlPlane(t, dir)
	start(t, c)
	t.Cleanup(func() { assert.NoError(t, c.Stop()) })
	exited := c.Exited()
	for _, test := range []struct{ component, mark string }{
		{schedulerName, "--kubeconfig=" + filepath.Join(dir, "kubeconfigs", "kube-scheduler.kubeconfig")},
		{apiServerName, "--cert-dir=" + filepath.Join(dir, "pki")},
	} {
		kill(t, test.mark)
		select {
		case err := <-exited:
			require.ErrorContains(t, err, test.component+" stopped by itself")
			require.ErrorContains(t, err, filepath.Join(dir, "logs", test.component+".log"))
		case <-time.After(30 * time.Second):
			t.Fatalf("the end of %s was not reported", test.component)
		}
	}
	require.NoError(t, c.Stop(), "stopping works although components are gone")
	requireNoneLeft(t, dir)
}

// kill kills the one process that has the argument.
func kill(t *testing.T, argument string) {
	t.Helper()
	all, err := processes()
	require.NoError(t, err)
	for pid, arguments := range all {
		for _, a := range arguments {
			if a == argument {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
				return
			}
		}
	}
	t.Fatalf("no process with %s", argument)
}

func TestCluster_FailedStartNamesTheComponentAndLeavesNothing(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("#!/bin/sh\necho cannot find my marbles\nexit 3\n"), 0o700))
	for component, damage := range map[string]func(*Binaries){
		etcdName:              func(b *Binaries) { b.Etcd = broken },
		apiServerName:         func(b *Binaries) { b.KubeAPIServer = broken },
		controllerManagerName: func(b *Binaries) { b.KubeControllerManager = broken },
	} {
		t.Run(component, func(t *testing.T) {
			dir := t.TempDir()
			c := testControlPlane(t, dir)
			whole := c.Binaries
			damage(&c.Binaries)
			err := c.Start(t.Context())
			require.ErrorContains(t, err, component)
			require.ErrorContains(t, err, "exit status 3")
			require.ErrorContains(t, err, "cannot find my marbles")
			t.Log(err)
			requireNoneLeft(t, dir)
			if component == apiServerName {
				c.Binaries = whole
				start(t, c) // a failed start is no obstacle
				require.NoError(t, c.Stop())
			}
		})
	}
}

func TestCluster_InterruptedStartLeavesNothing(t *testing.T) {
	for _, after := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			dir := t.TempDir()
			c := testControlPlane(t, dir)
			ctx, cancel := context.WithTimeoutCause(t.Context(), after, fmt.Errorf("ctrl-c"))
			defer cancel()
			begin := time.Now()
			err := c.Start(ctx)
			t.Logf("%s: %v", time.Since(begin).Round(time.Millisecond), err)
			require.ErrorContains(t, err, "interrupted: ctrl-c")
			assert.Less(t, time.Since(begin), after+time.Minute, "an interrupted start is waited for no longer than its programs take to end")
			requireNoneLeft(t, dir)
		})
	}
}

func TestUnit_MissingInputsAreReportedTogether(t *testing.T) {
	err := (&ControlPlane{Binaries: Binaries{Etcd: t.TempDir()}}).Start(t.Context())
	for _, want := range []string{
		"Dir is empty", "the etcd binary", "the kube-apiserver binary", "the kube-controller-manager binary",
		"the kube-scheduler binary",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestUnit_NotRunning(t *testing.T) {
	c := &ControlPlane{Dir: t.TempDir()}
	require.NoError(t, c.Stop(), "stopping what does not run")
	require.Nil(t, c.Kubeconfig())
	require.ErrorContains(t, c.SetNodes(t.Context(), nil), "not running")
}
