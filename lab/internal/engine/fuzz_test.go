package engine

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// FuzzStackFile: the lab's copy of a stack's file has the file's values and the lab's overrides,
// and no value that only the real environment can decrypt.
func FuzzStackFile(f *testing.F) {
	files, err := filepath.Glob("../../../*/Pulumi.*.yaml")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		"", "# nothing", "null", "config:", "config: []", "[]", "config: {gridos-infra:a: {secure: v1:x}, gridos-infra:b: [{c: {secure: v1:y}}]}",
		"secretsprovider: azurekeyvault://v\nencryptedkey: abc\nencryptionsalt: v1:z\nenvironment: [e]\nconfig: {gridos-infra:location: westeurope}",
		"config: {gridos-infra:a: {secure: v1:x, b: c}, gridos-infra:d: {secure: [1]}, gridos-infra:protect: true}",
	} {
		f.Add([]byte(text))
	}
	repository := f.TempDir()
	project := stacks.Infra
	s := site.Site{Repository: repository, Environment: "dev", Dir: filepath.Join(repository, ".lab", "dev")}
	require.NoError(f, os.MkdirAll(s.ProjectDir(project.Directory), 0o700))
	declared, err := os.ReadFile("../../../infra/Pulumi.yaml")
	require.NoError(f, err)
	require.NoError(f, os.WriteFile(filepath.Join(s.ProjectDir(project.Directory), "Pulumi.yaml"), declared, 0o600))
	f.Fuzz(func(t *testing.T, text []byte) {
		from := projectfile.StackFile(s.ProjectDir(project.Directory), s.Environment)
		require.NoError(t, os.WriteFile(from, text, 0o600))
		secrets, err := copyFiles(s, project, map[string]any{"protect": false})
		if err != nil {
			assert.ErrorContains(t, err, from)
			return
		}
		to := projectfile.StackFile(s.WorkDir(project.Name), s.Environment)
		written, err := projectfile.Read(to)
		require.NoError(t, err)
		for _, key := range []string{"secretsprovider", "encryptedkey", "encryptionsalt", "environment"} {
			assert.NotContains(t, written, key)
		}
		values, ok := written["config"].(map[string]any)
		require.True(t, ok)
		assert.Equal(t, false, values[project.Name+":protect"])
		assert.False(t, encrypted(values), "%v", values)
		for path := range secrets {
			assert.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(values)), func(key string) bool { return strings.HasPrefix(path, key) }), path)
		}
		original, err := projectfile.Read(from)
		require.NoError(t, err)
		if given, ok := original["config"].(map[string]any); ok && len(secrets) == 0 {
			delete(given, "protect")
			given[project.Name+":protect"] = false
			assert.Equal(t, given, values)
		}
		first, err := os.ReadFile(to)
		require.NoError(t, err)
		_, err = copyFiles(s, project, map[string]any{"protect": false})
		require.NoError(t, err)
		second, err := os.ReadFile(to)
		require.NoError(t, err)
		assert.Equal(t, string(first), string(second))
	})
}

// encrypted reports whether only the real environment can read something in a value.
func encrypted(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		_, is := v["secure"].(string)
		return is && len(v) == 1 || slices.ContainsFunc(slices.Collect(maps.Values(v)), encrypted)
	case map[any]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), encrypted)
	case []any:
		return slices.ContainsFunc(v, encrypted)
	}
	return false
}
