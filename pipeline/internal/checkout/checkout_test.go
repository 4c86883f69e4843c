package checkout_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/checkout"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout/gittest"
)

// A worktree that is linked to a repository is a checkout as any other. Open refuses a folder that
// Git does not read, and names the cause.
func TestUnit_ACheckoutIsOpenedOrRefusedWithTheCause(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	main, linked := filepath.Join(root, "main"), filepath.Join(root, "issue #1, 50%2F ü")
	require.NoError(t, os.Mkdir(main, 0o700))
	_, err = checkout.Open(t.Context(), main)
	require.ErrorContains(t, err, main+" is in no Git repository; change into a clone")
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "first"},
		{"worktree", "add", "--quiet", "-b", "linked", linked},
	} {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = main
		output, err := command.CombinedOutput()
		require.NoError(t, err, string(output))
	}
	for _, dir := range []string{main, linked} {
		c, err := checkout.Open(t.Context(), dir)
		require.NoError(t, err)
		assert.Equal(t, dir, c.Root)
		_, changed, err := c.Head(t.Context())
		require.NoError(t, err)
		assert.Empty(t, changed)
	}
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1") // of Git's own tests
	_, err = checkout.Open(t.Context(), main)
	require.ErrorContains(t, err, "git does not read "+main+", because it belongs to another user; if you trust what is in it, run git config "+
		"--global --add safe.directory "+main)
}

func TestUnit_TheHeadHasTheFilesThatAreChanged(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	broken := gittest.Install(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	git := func(args ...string) {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = dir
		output, err := command.CombinedOutput()
		require.NoError(t, err, string(output))
	}
	names := []string{"a file", "another\nfile"}
	git("init", "--quiet")
	c, err := checkout.Open(t.Context(), dir)
	require.NoError(t, err)
	commit, changed, err := c.Head(t.Context())
	require.ErrorContains(t, err, "git rev-parse --verify HEAD^{commit}: ")
	assert.Empty(t, commit)
	assert.Empty(t, changed)
	for _, text := range []string{"first", "second"} {
		for _, name := range names {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		if text == "first" {
			git("add", ".")
			git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "first")
		}
	}
	commit, changed, err = c.Head(t.Context())
	require.NoError(t, err)
	assert.Len(t, commit, 40)
	assert.Equal(t, names, changed)

	for n, call := range []func() error{
		func() error { _, _, err := c.Head(t.Context()); return err },
		func() error { _, err := c.Find(t.Context(), commit[:7]); return err },
		func() error { _, err := c.Contains(t.Context(), commit, commit); return err },
		func() error { _, err := c.Since(t.Context(), commit, commit); return err },
		func() error { _, err := c.Versions(t.Context(), commit, names[0]); return err },
		func() error { _, err := c.File(t.Context(), commit, names[0]); return err },
		func() error { _, err := c.Differences(t.Context(), commit+":", commit+":"); return err },
		func() error { _, err := c.ChangedSince(t.Context(), commit, commit, names[0]); return err },
		func() error { _, err := c.Tip(t.Context(), "origin", "main"); return err },
	} {
		for at := 1; ; at++ {
			broken.FailAt(at)
			err := call()
			if !broken.Failed() {
				require.NoError(t, err)
				broken.FailAt(0)
				break
			}
			require.ErrorContains(t, err, gittest.Said, "call %d, command %d", n, at)
		}
	}
	found, err := c.Find(t.Context(), "0000000")
	require.ErrorIs(t, err, checkout.ErrUnknown)
	assert.Empty(t, found)
	broken.FailAt(1)
	found, err = c.Find(t.Context(), commit)
	require.Error(t, err)
	assert.Empty(t, found)

	t.Setenv("PATH", t.TempDir())
	c, err = checkout.Open(t.Context(), dir)
	require.ErrorContains(t, err, "there is no git on PATH")
	assert.Nil(t, c)
}

// first puts a program in the place of git for the time of a test.
func first(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\n"+script), 0o700))
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

func TestUnit_AnAmbiguousCommitIsRefused(t *testing.T) {
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "git", "init", "--quiet", dir)
	require.NoError(t, command.Run())
	var commits strings.Builder
	for i := range 2000 { // so many that some hashes begin with the same four digits
		fmt.Fprintf(&commits, "commit refs/heads/main\ncommitter a <a@example.com> %d +0000\ndata 0\n", i)
	}
	command = exec.CommandContext(t.Context(), "git", "-C", dir, "fast-import", "--quiet")
	command.Stdin = strings.NewReader(commits.String())
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))
	listed, err := exec.CommandContext(t.Context(), "git", "-C", dir, "rev-list", "main").Output()
	require.NoError(t, err)
	seen, ambiguous := map[string]string{}, ""
	for hash := range strings.FieldsSeq(string(listed)) {
		if seen[hash[:4]] != "" {
			ambiguous = hash
			break
		}
		seen[hash[:4]] = hash
	}
	require.NotEmpty(t, ambiguous)
	c, err := checkout.Open(t.Context(), dir)
	require.NoError(t, err)
	found, err := c.Find(t.Context(), ambiguous[:4])
	require.ErrorContains(t, err, ambiguous[:4]+" is ambiguous: it begins ")
	require.ErrorContains(t, err, ambiguous)
	require.ErrorContains(t, err, seen[ambiguous[:4]])
	assert.Empty(t, found)
	found, err = c.Find(t.Context(), ambiguous)
	require.NoError(t, err)
	assert.Equal(t, ambiguous, found)

	first(t, "echo 0123abc yesterday")
	_, err = c.Versions(t.Context(), "main", "file")
	require.ErrorContains(t, err, "the date of commit 0123abc: ")
}

// Source of the summaries: git, transport.c, print_one_push_status.
func TestUnit_APushThatCameTooLateIsToldFromOneThatIsRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, exec.CommandContext(t.Context(), "git", "init", "--quiet", dir).Run())
	c, err := checkout.Open(t.Context(), dir)
	require.NoError(t, err)
	said := filepath.Join(t.TempDir(), "said")
	first(t, "cat "+said+"; echo 'error: failed to push some refs' >&2; exit 1\n")
	for summary, late := range map[string]bool{
		"[rejected] (fetch first)": true,
		"[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)": true,
		"[remote rejected] (failed to update ref)":                                      true,
		"[remote rejected] (incorrect old value provided)":                              true,
		"[remote rejected] (reference already exists)":                                  true,
		"[remote rejected] (pre-receive hook declined)":                                 false,
		"[remote failure] (cannot lock ref)":                                            false,
	} {
		for flag, pushed := range map[string]string{"!": "", "=": "a branch beside it "} {
			text := "To x\n" + flag + "\tabc:refs/heads/main\t" + pushed + summary + "\nDone\n"
			require.NoError(t, os.WriteFile(said, []byte(text), 0o600))
			err := c.Push(t.Context(), "origin", "abc", "main")
			rejected := (*checkout.RejectedError)(nil)
			if late && flag == "!" {
				require.ErrorAs(t, err, &rejected, summary)
				assert.Equal(t, checkout.RejectedError{Remote: "origin", Branch: "main", Reason: summary}, *rejected)
				continue
			}
			require.NotErrorAs(t, err, &rejected, summary)
			require.ErrorContains(t, err, "branch main of origin cannot be pushed to; see whether its protection")
			require.ErrorContains(t, err, summary, "what Git says of the branch")
		}
	}
	require.NoError(t, os.WriteFile(said, nil, 0o600))
	err = c.Push(t.Context(), "origin", "abc", "main")
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "\n")
}

// A killed Git leaves its lock files.
func TestUnit_GitIsAskedToEndAndNotKilled(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, exec.CommandContext(t.Context(), "git", "init", "--quiet", dir).Run())
	c, err := checkout.Open(t.Context(), dir)
	require.NoError(t, err)
	started, ended := filepath.Join(dir, "started"), filepath.Join(dir, "ended")
	first(t, fmt.Sprintf("trap 'touch %s; exit 1' TERM\ntouch %s\nwhile :; do sleep 0.05; done\n", ended, started))
	ctx, cancel := context.WithCancel(t.Context())
	headed := make(chan error)
	go func() {
		_, _, err := c.Head(ctx)
		headed <- err
	}()
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.FileExists(c, started) }, time.Minute, 10*time.Millisecond)
	cancel()
	require.Error(t, <-headed)
	assert.FileExists(t, ended)
}
