package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/program"
)

func TestUnit_AnArgumentIsAMistake(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	require.ErrorContains(t, run(t.Context(), []string{"now"}, &output, &output), `takes no arguments but -json; it got ["now"]`)
}

// `make restore-rehearsal`, with all that it does.
func TestService_TheFirstWriteIsBackAndTheSecondIsNot(t *testing.T) {
	_, err := pgtest.Binary("pg_basebackup")
	pgtest.Require(t, err)
	t.Setenv("TMPDIR", openFolder(t))
	var output bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-json"}, &output, &output), "%s", &output)
	var done report
	require.NoError(t, json.Unmarshal(output.Bytes(), &done), "%s", &output)
	t.Logf("%+v", done)
	var names []string
	for _, s := range done.Steps {
		names = append(names, s.Name)
		assert.Positive(t, s.Seconds, s.Name)
	}
	assert.Equal(t, []string{"set up", "base backup", "first write", "second write", "archive", "loss", "restore", "service", "data"}, names)
	assert.Equal(t, done.Moment.Truncate(time.Second), done.Moment, "a moment as a person gives it")
	assert.Positive(t, done.Away)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left, "a rehearsal leaves nothing")

	var table bytes.Buffer
	require.NoError(t, done.print(&table))
	assert.Contains(t, table.String(), "the first write is there, the second is not")
}

// A restoration to another moment must not pass for a success.
func TestService_AnotherMomentIsNoticed(t *testing.T) {
	_, err := pgtest.Binary("pg_basebackup")
	pgtest.Require(t, err)
	scratch := openFolder(t)
	path, err := program.Build(t.Context(), scratch)
	require.NoError(t, err)
	done, err := rehearse(t.Context(), path, scratch, func(before, _ time.Time) time.Time { return before })
	require.ErrorContains(t, err, "data: the history has [] kV in 0 samples; it must have [111]")
	assert.Equal(t, "service", done.Steps[len(done.Steps)-1].Name)
	assert.Zero(t, done.Away)
}

// openFolder is a temporary folder that the database server's user can go through.
func openFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "gridos-rehearsal-") //nolint:usetesting // that one is closed to the server's user
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, os.Chmod(folder, 0o755))
	return filepath.Clean(folder)
}
