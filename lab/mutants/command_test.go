package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// --again must read the output of --json.
func TestUnit_AReportNamesItsSurvivors(t *testing.T) {
	t.Parallel()
	killed, survivor := &result{mutant: &mutant{Key: "killed"}, By: "a test"}, &result{mutant: &mutant{Key: "survivor"}, Golden: true}
	plain := &result{mutant: &mutant{Key: "plain"}, By: "a test", Plain: []string{"a property"}}
	text, err := json.Marshal(map[string]any{"mutants": []*result{killed, survivor, plain}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "report.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	found, err := survivors(file)
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"survivor": true, "plain": true}, found)

	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = survivors(file)
	require.ErrorContains(t, err, "is no report that --json has printed")
	found, err = survivors("")
	require.NoError(t, err)
	assert.Nil(t, found)
}
