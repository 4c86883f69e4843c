package projectfile_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3" // the other one goes by way of JSON, whose long keys it does not read

	"github.com/gridos/sharedinfra/internal/config/projectfile"
)

const root = "../../.."

// FuzzStackFile: a stack's file is refused by its name, or gives each key its namespace and a text
// that means the same when it is written again.
func FuzzStackFile(f *testing.F) {
	files, err := filepath.Glob(root + "/*/Pulumi.*.yaml")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		"", "# nothing", "null", "config:", "config: {}", "config: []", "config: {location: westeurope}", "\xef\xbb\xbfconfig: {a: b}",
		"encryptionsalt: v1:abc\nconfig: {gridos-infra:a: {secure: v1:xyz}, gridos-infra:b: {c: {secure: v1:xyz}}}",
		"config: {gridos-infra:a: [1, 2.5, true, null, {b: 1e3}], 'gridos-infra:b': 0x10, \"gridos-infra:c\": 2026-01-31}",
		"config: {a:b:c: d}", "config: &a {gridos-infra:x: *a}", "environment: [x]\nconfig: {pulumi:disable-default-providers: [none]}",
	} {
		f.Add([]byte(text))
	}
	project, err := os.ReadFile(root + "/infra/Pulumi.yaml")
	require.NoError(f, err)
	dir := f.TempDir()
	require.NoError(f, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), project, 0o600))
	f.Fuzz(func(t *testing.T, text []byte) {
		file := projectfile.StackFile(dir, "dev")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		values, err := projectfile.Config(t.Context(), dir, "dev")
		if err != nil {
			assert.ErrorContains(t, err, file, "a mistake names the file")
			return
		}
		assert.Contains(t, values, "pulumi:disable-default-providers", "what Pulumi.yaml says is there too")
		for key := range values {
			assert.Contains(t, key, ":", "no namespace") // the CLI takes empty names, on both sides of it
		}
		for key := range values {
			if strings.HasSuffix(key, ":__miswritten") {
				return // a Reader of the values refuses them
			}
		}
		printed, err := yaml.Marshal(map[string]any{"config": values})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, printed, 0o600))
		again, err := projectfile.Config(t.Context(), dir, "dev")
		require.NoError(t, err)
		assert.True(t, maps.Equal(values, again), "read %v, and %v when it was written again", values, again)
	})
}
