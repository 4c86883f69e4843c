package projectfile_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/config/projectfile"
)

// projectIn makes a project with a stack's file.
func projectIn(t *testing.T, file string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: p\nruntime: go\n"), 0o600))
	require.NoError(t, os.WriteFile(projectfile.StackFile(dir, "dev"), []byte(file), 0o600))
	return dir
}

// read returns what a program reads as a key, or why it is refused.
func read(t *testing.T, file string) (string, error) {
	t.Helper()
	values, err := projectfile.Config(t.Context(), projectIn(t, file), "dev")
	if err != nil {
		return "", err
	}
	r := config.FromMap("p", "dev", values)
	value := r.String("key", "the default")
	return value, r.Err()
}

// A value arrives as it is written, or is refused.
func TestUnit_WhatIsWrittenArrivesOrIsRefused(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/written.yaml")
	require.NoError(t, err)
	var rows []struct{ Written, Arrives, Refused string }
	require.NoError(t, yaml.Unmarshal(text, &rows))
	for _, row := range rows {
		for _, key := range []string{"p:key", "key"} {
			value, err := read(t, "config:\n  "+key+": "+row.Written+"\n")
			if row.Refused != "" {
				require.ErrorContains(t, err, row.Refused, row.Written)
				continue
			}
			require.NoError(t, err, row.Written)
			assert.Equal(t, row.Arrives, value, row.Written)
		}
	}
}

func TestUnit_AKeyThatIsGivenTwiceIsRefused(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"config:\n  key: a\n  p:key: b\n", "config:\n  p:key: b\n  key: a\n"} {
		_, err := read(t, file)
		require.ErrorContains(t, err, "either may win; remove key")
	}
	value, err := read(t, "config:\n  key: a\n  other:key: b\n  pulumi:key: 0042\n")
	require.NoError(t, err, "a provider's keys are its own")
	assert.Equal(t, "a", value)
}

// What is written in clear text where a secret belongs is in no message.
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

// The engine starts a program in its project's folder, where the program compares what it is given with what is written.
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

// The CLI reads another file where PULUMI_OPTION_CONFIG_FILE says so: what is in that one counts, unless it is older than the stack's own.
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
