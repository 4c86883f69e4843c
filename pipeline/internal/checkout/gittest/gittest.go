// Package gittest makes commands of Git fail, so that a test sees what a program makes of each
// failure.
package gittest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Said is what Git says when it fails because a test wants it to.
const Said = "broken on purpose"

// Git stands before the program on PATH.
type Git struct {
	t     testing.TB
	count string
}

// Install puts the stand-in on PATH for the time of a test. Until FailAt is called, it passes all
// commands on.
func Install(t *testing.T) *Git {
	t.Helper()
	program, err := exec.LookPath("git")
	require.NoError(t, err)
	dir := t.TempDir()
	g := &Git{t: t, count: filepath.Join(dir, "count")}
	script := fmt.Sprintf(`#!/bin/sh
read -r left <'%[1]s'
echo $((left - 1)) >'%[1]s'
if [ "$left" = 1 ]; then
	echo '%[2]s' >&2
	exit 128
fi
exec '%[3]s' "$@"
`, g.count, Said, program)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o700)) //nolint:gosec // Git runs it
	g.FailAt(0)
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return g
}

// FailAt makes the nth command from now fail, and none if n is 0.
func (g *Git) FailAt(n int) {
	require.NoError(g.t, os.WriteFile(g.count, fmt.Appendln(nil, n), 0o600))
}

// Failed reports whether the command has been reached that was to fail.
func (g *Git) Failed() bool {
	text, err := os.ReadFile(g.count)
	require.NoError(g.t, err)
	return text[0] == '-' || text[0] == '0'
}
