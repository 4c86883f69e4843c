package makespan

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// At so small a scale the engine itself takes most of the time, so the ratio is high. A ratio near
// 1 needs a minute.
func TestEngine_AnUpdateIsMeasuredAndItsPathExplained(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	cmd := Command()
	cmd.SetArgs([]string{"--stack", "dev", "--scale", "0.002", "--max-ratio", "1", "--json"})
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(t.Context())
	require.ErrorContains(t, err, "dev takes")
	require.ErrorContains(t, err, "shorten the path dev-group → ")

	var reports []Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &reports))
	require.Len(t, reports, 1)
	r := reports[0]
	assert.Greater(t, r.Resources, 25)
	assert.Greater(t, r.Chain, 5.0)
	assert.GreaterOrEqual(t, r.Imposed, r.Chain, "the slowest resource is in the network")
	assert.GreaterOrEqual(t, r.Makespan, r.Imposed, "nothing is faster than Azure")
	assert.Empty(t, r.Path[0].WaitedFor)
	for i, s := range r.Path[1:] {
		assert.Contains(t, s.WaitedFor, r.Path[i].Resource)
		assert.GreaterOrEqual(t, s.Pause, 0.0, "%s started before what it waits for had ended", s.Resource)
	}
}

func TestUnit_FlagsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--stack", "moon"}, {"--scale", "0"}, {"--scale", "2"}, {"--parallel", "-1"}, {"what"}} {
		cmd := Command()
		cmd.SetArgs(args)
		assert.Error(t, cmd.ExecuteContext(t.Context()), args)
	}
}
