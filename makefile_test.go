package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An update sends the number of nodes in the state, so infra first refreshes the number that the
// autoscaler has set. The other projects do not refresh: a refresh would record a half-deleted Helm
// release as complete.
func TestUnit_MakeUpRefreshesTheClusterAlone(t *testing.T) {
	runs := run(t, "pulumi", `echo "$*"`, "up", "STACK=dev", "PULUMI_FLAGS=--yes")
	assert.Equal(t, []string{
		"-C infra up -s dev --refresh --yes", "-C bootstrap up -s dev --yes", "-C apps up -s dev --yes", "-C . up -s dev --yes",
	}, runs)
}

// A user's own settings for the go command change nothing here, except TEST_FLAGS.
func TestUnit_MakeRunsTheGoCommandTheSameWayForEveryone(t *testing.T) {
	flags := goFlags(t)
	t.Setenv("GOFLAGS", "-mod=mod -tags=hostile")
	t.Setenv("GOWORK", "/nowhere/go.work")
	for _, args := range [][]string{{"chaos"}, {"-e", "chaos"}, {"chaos", "GOFLAGS=-tags=hostile", "GOWORK=/nowhere/go.work"}} {
		assert.Equal(t, []string{flags + "run ./lab/proofs chaos --rounds 100"}, run(t, "go", `echo "$GOFLAGS $GOWORK $*"`, args...))
	}
	for _, tests := range run(t, "go", `echo "$GOFLAGS $GOWORK $*"`, "test-unit", "TEST_FLAGS=-v -race") {
		assert.Regexp(t, "^"+flags+"test .* -v -race -run ", tests)
	}
}

// goFlags are GOFLAGS and GOWORK as make, CI and bin/lab set them: with the same, nothing is
// compiled twice.
func goFlags(t *testing.T) string {
	t.Helper()
	flags, err := os.ReadFile(".goflags")
	require.NoError(t, err)
	return strings.TrimSpace(string(flags)) + " off "
}

// The lab's exit codes are for scripts, and it runs where the user stands.
func TestUnit_TheLabsCommandBuildsItAsMakeDoesAndPassesEverythingOn(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=mod -tags=hostile")
	t.Setenv("GOWORK", "/nowhere/go.work")
	checkout, elsewhere, programs := t.TempDir(), t.TempDir(), t.TempDir()
	for _, file := range []string{".goflags", "bin/lab"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(checkout, filepath.Dir(file)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(checkout, file), text, 0o700))
	}
	const build = `#!/bin/sh
cat >"$3/$5" <<LAB
#!/bin/sh
echo "built with $*"
echo "$GOFLAGS $GOWORK \$PWD \$# \$2"
exit 4
LAB
chmod +x "$3/$5"
`
	require.NoError(t, os.WriteFile(filepath.Join(programs, "go"), []byte(build), 0o700))
	command := exec.CommandContext(t.Context(), filepath.Join(checkout, "bin/lab"), "diff", "a branch")
	command.Dir = elsewhere
	command.Env = append(os.Environ(), "PATH="+programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := command.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 4, exit.ExitCode())
	assert.Equal(t, "built with build -C "+checkout+" -o bin/.lab ./lab\n"+goFlags(t)+elsewhere+" 2 a branch\n", string(out))
}

// run runs make with a program whose script stands in for the real one, and returns what the script
// prints, a line each time.
func run(t *testing.T, program, script string, args ...string) []string {
	t.Helper()
	dir := t.TempDir()
	record := filepath.Join(dir, "record")
	require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"+script+" >>"+record+"\n"), 0o700))
	command := exec.CommandContext(t.Context(), "make", args...)
	command.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	text, err := os.ReadFile(record)
	require.NoError(t, err)
	var lines []string
	for line := range strings.Lines(string(text)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}
