package baseline

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// repositoryIn makes root a repository, or a worktree that is linked to a repository beside it. It
// returns a function that runs git there.
func repositoryIn(t *testing.T, root string, linked bool) (git func(arguments ...string)) {
	t.Helper()
	git = func(arguments ...string) {
		command := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, arguments...)...)
		command.Dir = root
		output, err := command.CombinedOutput()
		require.NoError(t, err, string(output))
	}
	if linked {
		other := t.TempDir()
		for _, arguments := range [][]string{
			{"init", "--quiet", other},
			{"-C", other, "commit", "--quiet", "--allow-empty", "-m", "empty"},
			{"-C", other, "worktree", "add", "--quiet", "-b", "linked", root},
		} {
			git(arguments...)
		}
		return git
	}
	git("init", "--quiet")
	return git
}

// The go command gets the files that differ from a commit by their paths, wherever the checkout is:
// a repository, a worktree linked to one, a folder of a larger repository, at any path, and
// whatever repository the environment names.
func TestUnit_WhatDiffersIsFoundWhereverTheCheckoutIs(t *testing.T) {
	for _, test := range []struct {
		folder string
		linked bool
	}{{".", false}, {"platform", false}, {"teams/grid/platform", false}, {".", true}, {"platform", true}} {
		root := filepath.Join(t.TempDir(), "issue #1, 50%2F ü")
		require.NoError(t, os.Mkdir(root, 0o700))
		checkout := filepath.Join(root, test.folder)
		write := func(name string) {
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
			require.NoError(t, os.WriteFile(name, []byte("package a\n"), 0o600))
		}
		run := repositoryIn(t, root, test.linked)
		write(filepath.Join(checkout, "infra", "deleted.go"))
		write(filepath.Join(checkout, "infra", "changed.go"))
		write(filepath.Join(root, "elsewhere.go"))
		run("add", ".")
		run("commit", "--quiet", "-m", "first")
		require.NoError(t, os.Remove(filepath.Join(checkout, "infra", "deleted.go")))
		require.NoError(t, os.WriteFile(filepath.Join(checkout, "infra", "changed.go"), []byte("package b\n"), 0o600))
		write(filepath.Join(checkout, "infra", "ü new.go"))

		t.Run(fmt.Sprint(test), func(t *testing.T) {
			for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} { // as in a hook of another repository
				t.Setenv(name, "/nowhere")
			}
			s := site.Site{Repository: checkout, Environment: "dev", Dir: filepath.Join(t.TempDir(), "dev")}
			commit, err := Find(t.Context(), s, "HEAD")
			require.NoError(t, err)
			b := &Baseline{Commit: commit, site: s, dir: t.TempDir()}
			require.NoError(t, os.MkdirAll(b.Checkout(), 0o700))
			require.NoError(t, Extract(t.Context(), checkout, commit, b.Checkout()))
			file := filepath.Join(t.TempDir(), "overlay.json")
			require.NoError(t, b.writeOverlay(t.Context(), file))
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var overlay struct{ Replace map[string]string }
			require.NoError(t, json.Unmarshal(text, &overlay))
			there := func(name string) string { return filepath.Join(b.Checkout(), "infra", name) }
			assert.Equal(t, map[string]string{
				filepath.Join(checkout, "infra", "deleted.go"): there("deleted.go"),
				filepath.Join(checkout, "infra", "changed.go"): there("changed.go"),
				filepath.Join(checkout, "infra", "ü new.go"):   "",
			}, overlay.Replace)
		})
	}
}

// If nothing can be compared, one sentence names the cause.
func TestUnit_ACheckoutThatGitDoesNotReadIsRefusedWithTheCause(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	require.NoError(t, os.Mkdir(dir, 0o700))
	s := site.Site{Repository: dir, Environment: "dev"}
	_, err := Find(t.Context(), s, "main")
	require.ErrorContains(t, err, dir+" is in no Git repository; change into a clone")

	run := repositoryIn(t, dir, false)
	_, err = Find(t.Context(), s, "main")
	require.ErrorContains(t, err, `there is no commit "main"`)

	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1") // from Git's own tests
	_, err = Find(t.Context(), s, "main")
	require.ErrorContains(t, err, "it belongs to another user; if you trust what is in it, run git config --global --add safe.directory '"+
		strings.ReplaceAll(dir, "'", `'\''`)+"'")
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(t.TempDir(), "config"))
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "0")
	run("config", "--global", "--add", "safe.directory", dir)
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
	_, err = Find(t.Context(), s, "main")
	require.ErrorContains(t, err, `there is no commit "main"`, "the remedy helps")

	t.Setenv("PATH", t.TempDir())
	_, err = Find(t.Context(), s, "main")
	require.ErrorContains(t, err, "there is no git on PATH")
}
