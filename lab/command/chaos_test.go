package command

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/proofs/chaos"
)

// Three rounds of the hundred that `make chaos` plays, so that chaos itself is not forgotten
// between its runs.
func TestEngine_WhatIsKilledIsMadeWholeAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: two drills and AKilledUpLeavesNoOrphan kill something too")
	}
	t.Setenv(asLab, "1") // for the processes that it starts
	t.Setenv("TMPDIR", t.TempDir())
	const rounds = 3
	out, _, err := lab(t, t.Context(), "chaos", "--seed", "1", "--rounds", strconv.Itoa(rounds), "--json")
	require.NoError(t, err)
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
	_, _, err = lab(t, interrupted, "chaos", "--rounds", "2")
	require.NoError(t, <-running, "it was interrupted in the middle")
	var stopped interruptedError
	require.ErrorAs(t, err, &stopped)
	assert.Equal(t, "Stopped.", err.Error())
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left, "neither what went well nor what was interrupted leaves anything")
}

func TestUnit_ChaosSaysWhatItCannotPlay(t *testing.T) {
	for want, args := range map[string][]string{
		"--rounds is 0":          {"chaos", "--rounds", "0"},
		"--parallel is 0":        {"chaos", "--parallel", "0"},
		"--round needs the":      {"chaos", "--round", "3"},
		"use some of argocd-del": {"drills", "flood"},
	} {
		_, _, err := lab(t, t.Context(), args...)
		var usage usageError
		require.ErrorAs(t, err, &usage)
		require.ErrorContains(t, err, want)
	}
}
