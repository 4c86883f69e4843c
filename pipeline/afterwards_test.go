package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/approval"
	"github.com/gridos/sharedinfra/stacks"
)

// An update that the runner kills leaves a lock: the job's summary has the commands for the stack
// in which it ended.
func TestUnit_AnUpdateThatEndsEarlySaysHowToGoOn(t *testing.T) {
	t.Setenv("GITHUB_STEP_SUMMARY", write(t, "summary", ""))
	file := func() string { return read(t, os.Getenv("GITHUB_STEP_SUMMARY")) }
	refused := fmt.Errorf("gridos-apps/prod was left as it is: %w", &approval.RefusedError{})
	require.NoError(t, afterwards(io.Discard, refused, "prod", 1))
	assert.Empty(t, file(), "a refusal has touched nothing")
	require.NoError(t, afterwards(io.Discard, errors.New("exit status 255"), "prod", 1))
	assert.Contains(t, file(), "pulumi -C bootstrap cancel prod\npulumi -C bootstrap refresh -s prod --clear-pending-creates\n")
	assert.Contains(t, read(t, "../docs/recovery.md"), " cancel dev", "the document tells the same")
	before := file()
	require.NoError(t, afterwards(io.Discard, errors.New("exit status 255"), "prod", len(stacks.Projects())))
	assert.Equal(t, before, file(), "all are updated")
	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join("none", "file"))
	require.ErrorContains(t, afterwards(io.Discard, errors.New("exit status 255"), "prod", 1), "open the job's summary")
}
