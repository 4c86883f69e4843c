package checkout_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/checkout"
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
