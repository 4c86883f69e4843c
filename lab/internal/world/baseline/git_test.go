package baseline

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// What differs from a commit is given to the go command by its place, also where the checkout is a folder of a larger repository.
func TestUnit_WhatDiffersIsFoundInAFolderOfALargerRepository(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{".", "platform", "teams/grid/platform"} {
		root := t.TempDir()
		checkout := filepath.Join(root, folder)
		run := func(arguments ...string) {
			command := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, arguments...)...)
			command.Dir = root
			output, err := command.CombinedOutput()
			require.NoError(t, err, string(output))
		}
		write := func(name string) {
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
			require.NoError(t, os.WriteFile(name, []byte("package a\n"), 0o600))
		}
		write(filepath.Join(checkout, "infra", "deleted.go"))
		write(filepath.Join(checkout, "infra", "changed.go"))
		write(filepath.Join(root, "elsewhere.go"))
		run("init", "--quiet")
		run("add", ".")
		run("commit", "--quiet", "-m", "first")
		require.NoError(t, os.Remove(filepath.Join(checkout, "infra", "deleted.go")))
		require.NoError(t, os.WriteFile(filepath.Join(checkout, "infra", "changed.go"), []byte("package b\n"), 0o600))
		write(filepath.Join(checkout, "infra", "new.go"))

		s := site.Site{Repository: checkout, Environment: "dev", Dir: filepath.Join(t.TempDir(), "dev")}
		commit, err := Find(t.Context(), s, "HEAD")
		require.NoError(t, err)
		b := &Baseline{Commit: commit, site: s, dir: t.TempDir()}
		require.NoError(t, os.MkdirAll(b.checkout(), 0o700))
		require.NoError(t, extract(t.Context(), checkout, commit, b.checkout()))
		file := filepath.Join(t.TempDir(), "overlay.json")
		require.NoError(t, b.writeOverlay(t.Context(), file))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var overlay struct{ Replace map[string]string }
		require.NoError(t, json.Unmarshal(text, &overlay))
		there := func(name string) string { return filepath.Join(b.checkout(), "infra", name) }
		assert.Equal(t, map[string]string{
			filepath.Join(checkout, "infra", "deleted.go"): there("deleted.go"),
			filepath.Join(checkout, "infra", "changed.go"): there("changed.go"),
			filepath.Join(checkout, "infra", "new.go"):     "",
		}, overlay.Replace, folder)
	}
}
