package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/stacks"
)

// The root project is the one that is built in seconds. Its program runs as a process of its own,
// with a configuration that is not this checkout's, and the program in this process finds what it
// left.
func TestEngine_ABuiltProgramRunsWithTheStackFilesOfItsCommit(t *testing.T) {
	e := newEngine(t, azure.Options{})
	e.withUpstream(t)
	built := Built{Checkout: t.TempDir(), Programs: map[string]string{stacks.Published.Name: filepath.Join(t.TempDir(), "program")}}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", built.Programs[stacks.Published.Name], ".")
	build.Dir = repository
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	write := func(configuration string) {
		require.NoError(t, os.WriteFile(filepath.Join(built.Checkout, "Pulumi.yaml"), []byte("name: gridos\nruntime: go\n"), 0o600))
		require.NoError(t, os.WriteFile(projectfile.StackFile(built.Checkout, "dev"), []byte(configuration), 0o600))
	}
	published := partOf(t, stacks.Published)
	write("config:\n  gridos:noSuchKey: x\n")
	_, err = e.upBuilt(t.Context(), built, nil, published)
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	require.ErrorContains(t, err, "gridos:noSuchKey: no such key")

	write("config: {}\n")
	_, err = e.upBuilt(t.Context(), built, nil, published)
	require.NoError(t, err)
	assert.Equal(t, "the databaseHost", e.published(t)["databaseHost"])

	result, made, err := e.UpdateOne(t.Context(), stacks.Published, nil)
	require.NoError(t, err)
	assert.Zero(t, result.Changed(), result.Summary())
	assert.Empty(t, made.Changes)
	_, err = e.upBuilt(t.Context(), Built{Checkout: built.Checkout}, nil, published)
	require.ErrorContains(t, err, "has no program of gridos; build it")
}
