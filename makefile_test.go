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
	dir := t.TempDir()
	record := filepath.Join(dir, "record")
	script := "#!/bin/sh\necho \"$*\" >>" + record + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pulumi"), []byte(script), 0o700))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))

	out, err := exec.CommandContext(t.Context(), "make", "up", "STACK=dev", "PULUMI_FLAGS=--yes").CombinedOutput()
	require.NoError(t, err, string(out))
	text, err := os.ReadFile(record)
	require.NoError(t, err)
	var runs []string
	for line := range strings.Lines(string(text)) {
		runs = append(runs, strings.Join(strings.Fields(line), " "))
	}
	assert.Equal(t, []string{
		"-C infra up -s dev --refresh --yes", "-C bootstrap up -s dev --yes", "-C apps up -s dev --yes", "-C . up -s dev --yes",
	}, runs)
}
