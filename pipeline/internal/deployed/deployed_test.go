package deployed_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/deployed"
	"github.com/gridos/sharedinfra/stacks"
)

// cli records with which arguments it is run, and answers what the Automation API asks for.
const cli = `#!/bin/sh
printf '%s %s\n' "$(basename "$PWD")" "$*" >>"$RECORD"
case "$*" in
*version*) echo v3.260.0 ;;
*"stack history"*) echo '[{"kind": "update", "result": "succeeded", "resourceChanges": {"same": 1}}]' ;;
*"stack output"*) echo '{}' ;;
esac
`

// An update sends the number of nodes that the state knows. What the autoscaler has made since is
// learned first, and in the project with the cluster alone: a refresh takes a release of Helm that
// is half gone for whole.
func TestUnit_OnlyTheUpdateOfTheClusterRefreshes(t *testing.T) {
	dir := t.TempDir()
	record := filepath.Join(dir, "record")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pulumi"), []byte(cli), 0o700))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("RECORD", record)

	repository := filepath.Join(dir, "repository")
	for _, p := range stacks.Projects() {
		work := filepath.Join(repository, p.Directory)
		require.NoError(t, os.MkdirAll(work, 0o700))
		text := "name: " + p.Name + "\nruntime: go\n"
		require.NoError(t, os.WriteFile(filepath.Join(work, "Pulumi.yaml"), []byte(text), 0o600))
	}
	var log bytes.Buffer
	environment, err := deployed.Open(repository, "prod", &log)
	require.NoError(t, err)
	results, err := environment.Up(t.Context())
	require.NoError(t, err, log.String())
	require.Len(t, results, len(stacks.Projects()))

	text, err := os.ReadFile(record)
	require.NoError(t, err)
	refreshes := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if slices.Contains(words, "up") {
			refreshes[words[0]] = slices.Contains(words, "--refresh")
		}
	}
	assert.Equal(t, map[string]bool{"infra": true, "bootstrap": false, "apps": false, "repository": false}, refreshes)
}
