package projectfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
)

// The lab's tests play the rows of the programs' own keys, and what the CLI reads.
func TestUnit_AValueArrivesAsItIsWrittenOrIsRefused(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "written.yaml"))
	require.NoError(t, err)
	var rows []struct{ Key, Written, Arrives, Refused string }
	require.NoError(t, yaml.Unmarshal(text, &rows))
	played := 0
	for _, row := range rows {
		if row.Key != "" {
			continue
		}
		played++
		values, err := projectfile.Config(t.Context(), projectIn(t, "config:\n  p:key: "+row.Written+"\n"), "dev")
		if err == nil {
			r := config.FromMap("p", "dev", values)
			r.String("key", "the default")
			err = r.Err()
		}
		if row.Refused != "" {
			require.ErrorContains(t, err, row.Refused, row.Written)
			continue
		}
		require.NoError(t, err, row.Written)
		assert.Equal(t, row.Arrives, values["p:key"], row.Written)
	}
	assert.Greater(t, played, 40)
}

func TestUnit_AStackFileIsReadOrNamed(t *testing.T) {
	t.Parallel()
	dir := projectIn(t, "config:\n  p:token: {secure: v1:abc}\n")
	content, err := projectfile.Read(projectfile.StackFile(dir, "dev"))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"config": map[string]any{"p:token": map[string]any{"secure": "v1:abc"}}}, content)

	empty := projectfile.StackFile(projectIn(t, "# nothing\n"), "dev")
	content, err = projectfile.Read(empty)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{}, content)

	broken := projectfile.StackFile(projectIn(t, "config: [\n"), "dev")
	_, err = projectfile.Read(broken)
	require.ErrorContains(t, err, broken)

	_, err = projectfile.Read(projectfile.StackFile(dir, "prod"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = projectfile.Config(t.Context(), dir, "prod")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, `there is no stack "prod" in `+dir)
	_, err = projectfile.Config(t.Context(), t.TempDir(), "dev")
	require.ErrorContains(t, err, "Pulumi.yaml")
}
