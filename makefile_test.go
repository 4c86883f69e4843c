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
	const flags = "-trimpath -buildvcs=false -tags=kustomize_disable_go_plugin_support off "
	t.Setenv("GOFLAGS", "-mod=mod -tags=hostile")
	t.Setenv("GOWORK", "/nowhere/go.work")
	for _, args := range [][]string{{"lab"}, {"-e", "lab"}, {"lab", "GOFLAGS=-tags=hostile", "GOWORK=/nowhere/go.work"}} {
		assert.Equal(t, []string{flags + "run ./lab up --gitops=auto"}, run(t, "go", `echo "$GOFLAGS $GOWORK $*"`, args...))
	}
	for _, tests := range run(t, "go", `echo "$GOFLAGS $GOWORK $*"`, "test-unit", "TEST_FLAGS=-v -race") {
		assert.Regexp(t, "^"+flags+"test .* -v -race -run ", tests)
	}
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
