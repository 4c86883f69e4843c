package baseline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// The test binary is the commit's lab too.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "up":
		err = fakeUp(os.Args[3])
	case len(os.Args) == 3 && os.Args[1] == daemon.Command:
		err = fakeServe(os.Args[2])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const etcdVariable = "FAKE_ETCD" // the program of the fake lab's control plane

// fakeUp makes an environment with one file of each kind. What it makes is different every time.
func fakeUp(environment string) error {
	checkout, err := os.Getwd()
	if err != nil {
		return err
	}
	s := site.Site{Repository: checkout, Environment: environment, Dir: filepath.Join(checkout, ".lab", environment)}
	ups, err := os.OpenFile(filepath.Join(checkout, "..", "ups"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = ups.WriteString("up\n")
	if err := errors.Join(err, ups.Close(), s.Prepare(), os.MkdirAll(s.ControlPlaneDir(), 0o700)); err != nil {
		return err
	}
	now := []byte(strconv.FormatInt(time.Now().UnixNano(), 10))
	for _, file := range []string{s.AzureFile(), filepath.Join(s.BackendDir(), "state"), filepath.Join(s.ControlPlaneDir(), "port")} {
		if err := os.WriteFile(file, now, 0o600); err != nil {
			return err
		}
	}
	program := os.Getenv(etcdVariable)
	_, err = daemon.Start(context.Background(), daemon.Config{Site: s, Binaries: controlplane.Binaries{
		Etcd: program, KubeAPIServer: program, KubeControllerManager: program, KubeScheduler: program,
	}})
	if err != nil {
		return err
	}
	return daemon.WaitForCluster(context.Background(), s)
}

// fakeServe keeps the promises of the lab's background process about its files.
func fakeServe(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, err := daemon.ReadConfig(dir)
	if err != nil {
		return err
	}
	s := config.Site
	release, err := s.HoldAlive(ctx)
	if err != nil {
		return err
	}
	_ = os.Remove(s.KubeconfigFile()) // there is none at the first start
	port, err := os.ReadFile(filepath.Join(s.ControlPlaneDir(), "port"))
	if err != nil {
		return errors.Join(err, release())
	}
	err = errors.Join(s.Write(site.Record{PID: os.Getpid()}), os.WriteFile(s.KubeconfigFile(), port, 0o600))
	<-ctx.Done()
	return errors.Join(err, os.Remove(s.RecordFile()), release())
}

// checkoutOf makes a checkout with one commit, which counts as built: its lab is the test binary.
func checkoutOf(t *testing.T) (s site.Site, commit string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	run := repositoryIn(t, root, false)
	for name, text := range map[string]string{".gitignore": "/.lab/\n", "lab/main.go": "package main\n", "infra/main.go": "package main\n"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	run("add", ".")
	run("commit", "--quiet", "-m", "first")
	s = site.Site{Repository: root, Environment: "dev", Dir: filepath.Join(root, ".lab", "dev")}
	commit, err = Find(t.Context(), s, "HEAD")
	require.NoError(t, err)
	dir := filepath.Join(root, ".lab", "base", commit)
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "checkout"), 0o700))
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "lab")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "commit"), []byte(commit), 0o600))

	program := filepath.Join(root, ".lab", "etcd")
	require.NoError(t, os.WriteFile(program, []byte("1"), 0o700))
	t.Setenv(etcdVariable, program)
	return s, commit
}

func fitting(context.Context, site.Site) error { return nil }

// comparison is a comparison with a commit from its beginning to its end.
type comparison struct {
	made, said string // what the environment has, and what was shown
}

func compare(t *testing.T, s site.Site, commit string, fits Fits) comparison {
	t.Helper()
	var said bytes.Buffer
	display := progress.New(&said)
	b, err := Open(t.Context(), s, "main", commit, display)
	require.NoError(t, err)
	up, err := b.Up(t.Context(), display, fits)
	require.NoError(t, err, said.String())
	_, err = Open(t.Context(), s, "main", commit, display)
	require.ErrorContains(t, err, "another command compares this checkout with a commit")
	made, err := os.ReadFile(up.AzureFile())
	require.NoError(t, err)
	state := filepath.Join(up.BackendDir(), "state")
	text, err := os.ReadFile(state)
	require.NoError(t, err)
	assert.Equal(t, string(made), string(text), "a preview before has left something")
	require.NoError(t, os.WriteFile(state, []byte("of a preview"), 0o600))
	require.NoError(t, b.Stop(t.Context()))
	require.FileExists(t, up.AzureFile(), "what the report reads stays until the end")
	require.NoError(t, b.Close(context.WithoutCancel(t.Context()), display))
	assert.NoDirExists(t, up.Dir)
	display.Stop()
	return comparison{string(made), said.String()}
}

func ups(t *testing.T, s site.Site, commit string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(s.Dir), "base", commit, "ups"))
	require.NoError(t, err)
	return strings.Count(string(text), "up\n")
}

// What a commit made is used again as it was, and only as long as the commit would make the same.
func TestUnit_WhatACommitMadeIsUsedAgainWhileNothingThatItDependsOnChanges(t *testing.T) {
	s, commit := checkoutOf(t)
	first := compare(t, s, commit, fitting)
	require.NotContains(t, first.said, "as it was made at")

	require.NoError(t, os.WriteFile(filepath.Join(s.Repository, "infra", "main.go"), []byte("package main // changed\n"), 0o600))
	second := compare(t, s, commit, fitting)
	assert.Equal(t, first.made, second.made)
	assert.Contains(t, second.said, "as it was made at "+time.Now().Format(time.DateOnly))
	assert.Equal(t, 1, ups(t, s, commit), "the commit's lab brought nothing up")
	kept := filepath.Join(filepath.Dir(s.Dir), "base", commit, "kept")
	require.NoError(t, filepath.WalkDir(kept, func(path string, entry os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))

	inDev := filepath.Join(kept, "dev")
	for _, change := range []struct {
		says string
		do   func()
	}{
		{"the working tree's lab has changed", func() {
			require.NoError(t, os.WriteFile(filepath.Join(s.Repository, "lab", "new.go"), []byte("package main\n"), 0o600))
		}},
		{"the working tree's lab has changed", func() { require.NoError(t, os.Remove(filepath.Join(s.Repository, "lab", "main.go"))) }},
		{"programs of its control plane", func() { require.NoError(t, os.WriteFile(os.Getenv(etcdVariable), []byte("22"), 0o600)) }},
		{"GRIDOS_LAB_OFFLINE has another value", func() { t.Setenv("GRIDOS_LAB_OFFLINE", "1") }},
		{"it was made in /elsewhere", func() {
			file := filepath.Join(inDev, recordFile)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte(s.Repository), []byte("/elsewhere")), 0o600))
		}},
		{"no such file", func() { require.NoError(t, os.Remove(filepath.Join(inDev, recordFile))) }},
		{"it ended at once", func() { require.NoError(t, os.Remove(filepath.Join(inDev, "kubernetes", "port"))) }},
		{"another program has the port", func() {
			require.NoError(t, os.WriteFile(filepath.Join(inDev, "kubernetes", "port"), []byte("1"), 0o600))
		}},
	} {
		before := ups(t, s, commit)
		change.do()
		again := compare(t, s, commit, fitting)
		assert.Contains(t, again.said, change.says)
		assert.NotContains(t, again.said, "as it was made at")
		assert.Equal(t, before+1, ups(t, s, commit), change.says)
		assert.Equal(t, again.made, compare(t, s, commit, fitting).made, "after: %s", change.says)
	}
	again := compare(t, s, commit, func(_ context.Context, kept site.Site) error {
		assert.FileExists(t, kept.AzureFile())
		return errors.New("the chart repository answers now")
	})
	assert.Contains(t, again.said, "is not used: the chart repository answers now")
}

// A comparison that is killed at any time leaves nothing that a later one uses.
func TestUnit_WhatAKilledComparisonLeftIsNotUsed(t *testing.T) {
	s, commit := checkoutOf(t)
	dir := filepath.Join(filepath.Dir(s.Dir), "base", commit)
	open := func() *Baseline {
		b, err := Open(t.Context(), s, "main", commit, progress.New(t.Output()))
		require.NoError(t, err)
		return b
	}
	killed := open()
	up, err := killed.Up(t.Context(), progress.New(t.Output()), fitting)
	require.NoError(t, err)
	require.DirExists(t, filepath.Join(dir, "unfinished"), "it was to be kept")
	require.NoError(t, killed.lock.Unlock()) // and its environment runs

	b := open()
	_, running, err := up.Running()
	require.NoError(t, err)
	assert.False(t, running)
	assert.NoDirExists(t, filepath.Join(dir, "unfinished"))
	_, err = b.Up(t.Context(), progress.New(t.Output()), fitting)
	require.NoError(t, err)
	require.NoError(t, b.Stop(t.Context()))
	require.NoError(t, b.keep())
	require.NoError(t, os.Rename(b.kept(), b.unfinished())) // all of it but the last step
	require.NoError(t, b.lock.Unlock())

	assert.NotContains(t, compare(t, s, commit, fitting).said, "as it was made at")
	assert.Equal(t, 3, ups(t, s, commit))
	assert.Contains(t, compare(t, s, commit, fitting).said, "as it was made at")
}

// The commits that were compared with last stay, and no others.
func TestUnit_OldCommitsAreDeleted(t *testing.T) {
	s, commit := checkoutOf(t)
	all := filepath.Join(filepath.Dir(s.Dir), "base")
	others := make([]string, keptCommits)
	for i := range others {
		others[i] = strings.Repeat(strconv.Itoa(i), len(commit))
		require.NoError(t, os.MkdirAll(filepath.Join(all, others[i], "kept", "dev"), 0o700))
		used := time.Now().Add(-time.Duration(i+1) * time.Hour)
		require.NoError(t, os.Chtimes(filepath.Join(all, others[i]), used, used))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(all, "checkout"), 0o700)) // where a lab before had its only commit
	long := time.Now().Add(-24 * time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(all, commit), long, long))

	b, err := Open(t.Context(), s, "main", commit, progress.New(t.Output()))
	require.NoError(t, err)
	require.NoError(t, b.Close(t.Context(), progress.New(t.Output())))
	left, err := namesIn(all)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{commit, others[0], others[1]}, left)
}
