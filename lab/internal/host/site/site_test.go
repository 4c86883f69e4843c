package site

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A checkout may be at any path that a list of paths can contain.
func TestUnit_ACheckoutMayBeAnywhereButAtAColon(t *testing.T) {
	for folder, works := range map[string]bool{"issue #1, 50%2F ü": true, `it's "quoted" $HOME\`: true, "10:30": false} {
		root, err := filepath.EvalSymlinks(t.TempDir())
		require.NoError(t, err)
		dir := filepath.Join(root, folder)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "infra"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+module+"\n"), 0o600))
		t.Chdir(filepath.Join(dir, "infra"))
		s, err := Open("dev")
		if !works {
			require.ErrorContains(t, err, "the checkout is at "+dir+", and a colon divides the paths")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, dir, s.Repository)
	}
}
