package scenario

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program in the place of psql answers from files: the scenario itself is played in the lab.
func TestUnit_ALongReadCountsTheRequestsThatWaitForIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, waits, looked := filepath.Join(dir, "psql"), filepath.Join(dir, "waits"), filepath.Join(dir, "looked")
	script := `#!/bin/sh
while read -r line; do
  case "$line" in
  *pg_locks*) echo >>'` + looked + `'; cat '` + waits + `' || exit 3 ;;
  *telemetry*) echo 12 ;;
  esac
done
`
	require.NoError(t, os.WriteFile(program, []byte(script), 0o700))
	says := func(count string) { require.NoError(t, os.WriteFile(waits, []byte(count+"\n"), 0o600)) }
	read := func(meanwhile func()) (int, error) {
		reading, err := psql{path: program}.read(t.Context())
		require.NoError(t, err)
		untilNextLook(t, looked)
		meanwhile()
		untilNextLook(t, looked)
		return reading.end()
	}
	says("0")
	looks, err := read(func() {})
	require.NoError(t, err)
	assert.Positive(t, looks)
	_, err = read(func() { says("2") })
	require.ErrorContains(t, err, "requests waited for a lock on a table at ")
	says("0")
	_, err = read(func() { require.NoError(t, os.Remove(waits)) })
	require.ErrorContains(t, err, "psql: it has ended")
	require.ErrorContains(t, err, "waits")
}

// untilNextLook waits until a line has been added to the file.
func untilNextLook(t *testing.T, looked string) {
	t.Helper()
	before, err := os.ReadFile(looked)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		now, err := os.ReadFile(looked)
		return err == nil && len(now) > len(before)
	}, 10*time.Second, 10*time.Millisecond)
}
