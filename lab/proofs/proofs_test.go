package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world/baseline"
	"github.com/gridos/sharedinfra/lab/proofs/chaos"
)

// proofs runs a command in this process.
func proofs(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) { //nolint:revive // t comes first in tests
	t.Helper()
	var out, progress bytes.Buffer
	code = run(ctx, args, &out, &progress)
	t.Logf("proofs %q\n%s%s", args, progress.String(), out.String())
	return code, out.String(), progress.String()
}

// The test plays three rounds of the hundred that `make chaos` plays, so that chaos itself is
// tested between its runs.
func TestEngine_WhatIsKilledIsMadeWholeAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a drill and AKilledOrInterruptedLabGoesOnAndLabsDoNotMeet kill something too")
	}
	t.Setenv("TMPDIR", t.TempDir())
	const rounds = 3
	code, out, _ := proofs(t, t.Context(), "chaos", "--seed", "1", "--rounds", strconv.Itoa(rounds), "--json")
	require.Zero(t, code)
	var answer struct {
		Seed   uint64
		Rounds []chaos.Result
	}
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Len(t, answer.Rounds, rounds)
	for i, round := range answer.Rounds {
		assert.Equal(t, i+1, round.Round, "two environments play at once, and the rounds have an order")
		assert.Positive(t, round.After, round.Plan)
		assert.Positive(t, round.Recovery, round.Plan)
	}

	interrupted, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := make(chan error, 1)
	go func() {
		defer cancel()
		running <- site.WaitFor(interrupted, func() (bool, error) {
			records, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "gridos-lab-*", ".lab", "dev", "serve.json"))
			return len(records) > 0, err
		})
	}()
	code, _, said := proofs(t, interrupted, "chaos", "--rounds", "2")
	require.NoError(t, <-running, "it was interrupted in the middle")
	assert.Equal(t, cli.Interrupted, code)
	assert.Contains(t, said, "Stopped.\n")
	assert.NotContains(t, said, "Error:")
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left, "neither what went well nor what was interrupted leaves anything")
}

func TestUnit_MistakesHaveTheirExitCode(t *testing.T) {
	for want, args := range map[string][]string{
		"--rounds is 0; it must be 1 or more":                                         {"chaos", "--rounds", "0"},
		"--parallel is 0; it must be 1 or more":                                       {"chaos", "--parallel", "0"},
		"--round needs the --seed of the run that it was a round of":                  {"chaos", "--round", "3"},
		`invalid argument "flood" for "proofs drills"; use some of argocd-deleted, `:  {"drills", "flood"},
		`invalid argument "Flood" for "proofs alerts"; use some of ReleaseIsPaused, `: {"alerts", "Flood"},
		`invalid argument "flood" for "proofs regressions"; use some of configmap-`:   {"regressions", "flood"},
		`unknown command "disasters" for "proofs"`:                                    {"disasters"},
		`there is no environment "staging"`:                                           {"drills", "-s", "staging"},
		`there is no commit "v0.0.0-none" in this checkout; fetch it`:                 {"upgrade", "--from", "v0.0.0-none"},
	} {
		code, _, said := proofs(t, t.Context(), args...)
		assert.Equal(t, cli.Mistake, code, args)
		assert.Contains(t, said, "Error: "+want)
	}
}

// A checkout without its history, such as a shallow clone, cannot be upgraded to; that is no
// failure of the programs.
func TestUnit_AReleaseThatTheCheckoutDoesNotHaveHasItsExitCode(t *testing.T) {
	t.Chdir(t.TempDir())
	commit := strings.Repeat("ab", 20)
	require.NoError(t, os.WriteFile("go.mod", []byte("module github.com/gridos/sharedinfra\n"), 0o600))
	require.NoError(t, os.WriteFile("CHANGELOG.md",
		[]byte("## [0.1.0] - 2026-11-30\n\n[0.1.0]: https://example.com/commit/"+commit+"\n"), 0o600))
	for _, arguments := range [][]string{
		{"init", "--quiet"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "empty"},
	} {
		said, err := exec.CommandContext(t.Context(), "git", arguments...).CombinedOutput()
		require.NoError(t, err, string(said))
	}
	code, _, said := proofs(t, t.Context(), "upgrade")
	assert.Equal(t, notRehearsed, code)
	assert.Equal(t, "Error: this checkout does not have 0.1.0 (abababa); in a shallow clone, run git fetch --unshallow first, "+
		"or name another commit\n", said)
}

func TestUnit_TheChangelogOfThisCheckoutNamesARelease(t *testing.T) {
	s, err := site.Open("dev")
	require.NoError(t, err)
	release, err := baseline.LastRelease(t.Context(), s.Repository)
	if !errors.As(err, new(baseline.MissingError)) {
		require.NoError(t, err)
	}
	assert.Len(t, release.Commit, 40)
	assert.NotEmpty(t, release.Name)
}

func TestUnit_EachCommandHasAnExample(t *testing.T) {
	for _, command := range newCommand().Commands() {
		if command.Hidden {
			continue
		}
		code, help, _ := proofs(t, t.Context(), command.Name(), "--help")
		assert.Zero(t, code)
		assert.Contains(t, help, "Examples:\n  go run ./lab/proofs "+command.Name())
	}
}
