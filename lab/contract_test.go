package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/stacks"
)

// What scripts and people rely on: verbs, exit codes, texts, JSON. Each script of testdata is one promise, kept without the lab's tools.
func TestUnit_TheCommandLineKeepsItsContract(t *testing.T) {
	repository, err := filepath.Abs("..")
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("command", "testdata"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			files := []string{"go.mod"}
			for _, p := range stacks.Projects() {
				found, err := filepath.Glob(filepath.Join(repository, p.Directory, "Pulumi*.yaml"))
				if err != nil {
					return err
				}
				for _, file := range found {
					files = append(files, filepath.Join(p.Directory, filepath.Base(file)))
				}
			}
			for _, file := range files {
				text, err := os.ReadFile(filepath.Join(repository, file))
				if err != nil {
					return err
				}
				to := filepath.Join(env.WorkDir, file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, text, 0o600)); err != nil {
					return err
				}
			}
			return os.Symlink(filepath.Join(repository, "tools"), filepath.Join(env.WorkDir, "tools"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command that must end with a code: "exits 2 lab upp".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%q ends with %d, not with %d", slices.Clone(args[1:]), got, want)
	}
}
