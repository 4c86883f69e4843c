package valuekeys_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/valuekeys"
)

func TestUnit_PathsOfValues(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"a.annotations.*", "a.list", "a.nothing", "b"}, valuekeys.Of(map[string]any{
		"b": 1, "a": map[string]any{"annotations": map[string]any{}, "list": []any{map[string]any{"x": 1}}, "nothing": nil},
	}))
}

func TestUnit_AKeyThatTheChartDoesNotKnowIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "chart-1.0.0.keys.txt")
	require.NoError(t, os.WriteFile(file, []byte("annotations.*\npdb.enabled\nreplicas\n"), 0o600))
	unknown, err := valuekeys.Unknown(map[string]any{
		"annotations":  map[string]any{"example.com/any": map[string]any{"deep": 1}},
		"annotationsX": 1,
		"replicas":     map[string]any{"min": 2},
		"pdb":          map[string]any{"enabled": true, "minAvailible": 1},
	}, file)
	require.NoError(t, err)
	assert.Equal(t, []string{"annotationsX", "pdb.minAvailible", "replicas.min"}, unknown)

	_, err = valuekeys.Unknown(map[string]any{}, file+".missing")
	require.Error(t, err)
}

func TestUnit_ValuesAreAnObject(t *testing.T) {
	t.Parallel()
	_, err := valuekeys.Unknown([]string{"a"}, "a file")
	require.ErrorContains(t, err, "[]string is no object in JSON")
	_, err = valuekeys.Unknown(func() {}, "a file")
	require.ErrorContains(t, err, "cannot be written as JSON")
}
