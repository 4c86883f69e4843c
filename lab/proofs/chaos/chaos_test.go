package chaos

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
	"github.com/gridos/sharedinfra/lab/proofs/scratch"
)

// After a failure a person should see it at once, instead of waiting for an hour of rounds in other
// environments.
func TestUnit_NobodyGoesOnWhenSomethingFails(t *testing.T) {
	site, err := scratch.Copy(filepath.Join("..", "..", ".."), t.TempDir(), "dev")
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "lab")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\necho disk full >&2\nexit 1\n"), 0o700))
	rounds := make(chan int, 3)
	for n := range 3 {
		rounds <- n + 1
	}
	close(rounds)

	results, err := Run(t.Context(), Options{
		Lab: labcli.Lab{Binary: binary, Site: site}, Rounds: rounds, Seed: 7, Display: progress.New(t.Output()),
	})
	require.ErrorContains(t, err, "before anything was killed: lab up: exit status 1\ndisk full")
	assert.Empty(t, results)
	_, left := <-rounds
	assert.False(t, left)
}
