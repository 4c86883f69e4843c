package atomicfile_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
)

func TestUnit_TheNewFileIsItsOwnersOnlyWhateverTheOldOneWas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.json")
	require.NoError(t, os.WriteFile(path, []byte("old, and longer than what replaces it"), 0o644))
	for _, content := range []string{"new", ""} {
		require.NoError(t, atomicfile.Write(path, []byte(content)))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, content, string(text))
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode())
	}
	assert.Equal(t, []string{"secrets.json"}, names(t, filepath.Dir(path)))
}

// A reader that has the file open, as one that a crash overtakes, keeps the whole old content: the
// bytes of the old file are never written over.
func TestUnit_TheOldContentIsNeverWrittenOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	old := bytes.Repeat([]byte("old "), 1<<16)
	require.NoError(t, atomicfile.Write(path, old))
	kept := path + ".kept"
	require.NoError(t, os.Link(path, kept))
	require.NoError(t, atomicfile.Write(path, []byte("new")))
	text, err := os.ReadFile(kept)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(old, text))
}

func TestUnit_AReaderSeesOneContentOrTheOther(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	contents := [][]byte{bytes.Repeat([]byte("a"), 1<<18), bytes.Repeat([]byte("b"), 1<<10)}
	require.NoError(t, atomicfile.Write(path, contents[0]))
	done := make(chan error)
	go func() {
		for i := range 50 {
			if err := atomicfile.Write(path, contents[i%2]); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, contents[0]) || bytes.Equal(text, contents[1]), "%d bytes", len(text))
		select {
		case err := <-done:
			require.NoError(t, err)
			return
		default:
		}
	}
}

func TestUnit_AFailureIsNamedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	require.NoError(t, os.MkdirAll(filepath.Join(taken, "full"), 0o700))
	require.ErrorContains(t, atomicfile.Write(taken, []byte("new")), "write "+taken)
	assert.Equal(t, []string{"taken"}, names(t, dir))

	missing := filepath.Join(dir, "no", "such", "folder")
	require.ErrorContains(t, atomicfile.Write(missing, []byte("new")), "write "+missing)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}
