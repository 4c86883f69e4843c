package chaos

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/proofs/scratch"
	"github.com/gridos/sharedinfra/stacks"
)

// Every change changes something, whatever was changed before.
func TestUnit_ChangesAreNeverWhatIsThere(t *testing.T) {
	t.Parallel()
	s, err := scratch.Copy(filepath.Join("..", "..", ".."), t.TempDir(), "dev")
	require.NoError(t, err)
	read := func() map[string]string {
		values := map[string]string{}
		for project := range settings {
			config, err := projectfile.Config(t.Context(), s.ProjectDir(project.Directory), s.Environment)
			require.NoError(t, err)
			maps.Copy(values, config)
		}
		return values
	}
	untouched := func() string {
		text, err := os.ReadFile(projectfile.StackFile(s.ProjectDir(stacks.Apps.Directory), s.Environment))
		require.NoError(t, err)
		return string(text)
	}
	before, apps := read(), untouched()
	for range 3 {
		require.NoError(t, change(s))
		now := read()
		for _, keys := range settings {
			for key := range keys {
				assert.NotEqual(t, before[key], now[key], key)
				delete(before, key)
			}
		}
		for key := range before {
			assert.Equal(t, before[key], now[key], key)
		}
		before = now
	}
	assert.Equal(t, apps, untouched())
}
