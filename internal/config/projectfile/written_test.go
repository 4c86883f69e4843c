package projectfile_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
)

// projectIn makes a project with a stack's file.
func projectIn(t *testing.T, file string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: p\nruntime: go\n"), 0o600))
	require.NoError(t, os.WriteFile(projectfile.StackFile(dir, "dev"), []byte(file), 0o600))
	return dir
}

// No message quotes a clear text that stands where a secret belongs.
func TestUnit_AMiswrittenSecretIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"0421337", "{secure: 0421337x}", "{secure: hunter2}"} {
		values, err := projectfile.Config(t.Context(), projectIn(t, "config:\n  p:token: "+value+"\n"), "dev")
		require.NoError(t, err)
		r := config.FromMap("p", "dev", values)
		r.Secret("token")
		err = r.Err()
		require.ErrorContains(t, err, "p:token: ", value)
		assert.NotContains(t, err.Error(), "1337")
		assert.NotContains(t, err.Error(), "hunter2")
	}
	values, err := projectfile.Config(t.Context(), projectIn(t,
		"config:\n  p:token: {secure: v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==}\n"), "dev")
	require.NoError(t, err)
	r := config.FromMap("p", "dev", values)
	r.Secret("token")
	require.NoError(t, r.Err())
}

// The engine starts a program in its project's folder, where the program compares the values that
// it gets with those in the file.
func TestUnit_AProgramComparesItsOwnFile(t *testing.T) {
	for _, test := range []struct {
		project string
		refused bool
	}{{"p", true}, {"another", false}} {
		t.Chdir(projectIn(t, "config:\n  p:key: 0042\n"))
		info := pulumi.RunInfo{Project: test.project, Stack: "dev", Config: map[string]string{test.project + ":key": "34"}}
		config.Strict(&info)
		r := config.FromMap(test.project, "dev", info.Config)
		r.String("key", "")
		if test.refused {
			require.ErrorContains(t, r.Err(), "0042 arrives as 34")
			continue
		}
		require.NoError(t, r.Err(), "it runs inside another process, in the folder of another project")
	}
}

// The CLI reads another file if PULUMI_OPTION_CONFIG_FILE names one: that file counts, unless it is
// older than the stack's own.
func TestUnit_AProgramComparesTheFileThatTheCLIHasRead(t *testing.T) {
	dir := projectIn(t, "config:\n  p:key: the stack's\n")
	t.Chdir(dir)
	other := filepath.Join(t.TempDir(), "other.yaml")
	require.NoError(t, os.WriteFile(other, []byte("config:\n  p:key: the other's\n  p:octal: 0042\n"), 0o600))
	t.Setenv("PULUMI_OPTION_CONFIG_FILE", other)
	readKeys := func() error {
		info := pulumi.RunInfo{Project: "p", Stack: "dev", Config: map[string]string{"p:key": "the other's", "p:octal": "34"}}
		config.Strict(&info)
		r := config.FromMap("p", "dev", info.Config)
		r.String("key", "")
		r.String("octal", "")
		return r.Err()
	}
	err := readKeys()
	require.ErrorContains(t, err, "p:octal: 0042 arrives as 34")
	assert.NotContains(t, err.Error(), "p:key")

	own, err := os.Stat(projectfile.StackFile(dir, "dev"))
	require.NoError(t, err)
	old := own.ModTime().Add(-time.Second)
	require.NoError(t, os.Chtimes(other, old, old))
	require.ErrorContains(t, readKeys(), "Pulumi.dev.yaml is newer than "+other)
}
