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

// An update sends the number of nodes that the state knows: infra learns first what the autoscaler has made of it. The others do not
// refresh, which would take a release of Helm that is half gone for whole.
func TestUnit_MakeUpRefreshesTheClusterAlone(t *testing.T) {
	runs := run(t, "pulumi", `echo "$*"`, "up", "STACK=dev", "PULUMI_FLAGS=--yes")
	assert.Equal(t, []string{
		"-C infra up -s dev --refresh --yes", "-C bootstrap up -s dev --yes", "-C apps up -s dev --yes", "-C . up -s dev --yes",
	}, runs)
}

// What a user has set for the go command elsewhere changes nothing here. TEST_FLAGS are asked for.
func TestUnit_MakeRunsTheGoCommandTheSameWayForEveryone(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=mod -tags=hostile")
	t.Setenv("GOWORK", "/nowhere/go.work")
	for _, args := range [][]string{{"lab"}, {"-e", "lab"}, {"lab", "GOFLAGS=-tags=hostile", "GOWORK=/nowhere/go.work"}} {
		assert.Equal(t, []string{"-trimpath -buildvcs=false off run ./lab up --gitops=auto"}, run(t, "go", `echo "$GOFLAGS $GOWORK $*"`, args...))
	}
	for _, tests := range run(t, "go", `echo "$GOFLAGS $GOWORK $*"`, "test-unit", "TEST_FLAGS=-v -race") {
		assert.Regexp(t, "^-trimpath -buildvcs=false off test .* -v -race -run ", tests)
	}
}

// run runs make with a program whose script stands in for the real one, and returns what the script prints, a line each time.
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
