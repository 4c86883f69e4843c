package pace

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzWaits: scaling the waits of a release changes only the waits. A factor of 1 changes nothing.
// After another factor there are as many waits in the same places, and the release does not take
// longer than before.
func FuzzWaits(f *testing.F) {
	files, err := filepath.Glob("../../../../applications/gridos/*/*.yaml")
	require.NoError(f, err)
	overlays, err := filepath.Glob("../../../../applications/gridos/overlays/*/*.yaml")
	require.NoError(f, err)
	require.NotEmpty(f, overlays)
	for _, file := range append(files, overlays...) {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		"", "---\n", "# nothing", "a: &a [*a]", "[{path: /spec, value: &a [*a]}]", "[{path: /x, value: {interval: 1m}}]",
		"kind: Rollout\nspec: {strategy: {canary: {steps: [pause: {duration: \"5m\"}, {pause: {duration: 30}}, pause: {}]}}}",
		"kind: Rollout\rspec:\r  strategy: {canary: {steps: [{pause: {duration: 5m}}]}}\r",
		"kind: Rollout\rspec: {strategy: {canary: {steps: [{pause: {duration: 5m}}]}}}\n#\n",
		"kind: Rollout\u2028spec: {strategy: {canary: {steps: [{pause: {duration: 5m}}]}}}",
		"\ufeffkind: Rollout\nspec: {strategy: {canary: {steps: [{pause: {duration: !!str 5m}}, {pause: {duration: &x 5m}}, {pause: {duration: *x}}]}}}",
		"kind: AnalysisTemplate\nspec:\n  metrics:\n  - interval: 1m\n    initialDelay: 30s\n    provider:\n      prometheus:\n        query: |\n" +
			"          sum(rate(a[5m])) / sum(rate(b[1m30s]))\n",
		"kind: AnalysisTemplate\nspec: {metrics: [{interval: 1d}, {interval: {}}, {provider: {prometheus: {query: \"a[5\\x6d]\"}}}]}",
		"kind: Kustomization\npatches:\n- patch: |-\n    kind: Rollout\n    spec: &a [*a]\n- path: x.yaml\npatchesStrategicMerge: ['kind: Rollout']\n",
		"kind: Kustomization\npatches: [{patch: '[{path: /spec/strategy/canary/steps/0/pause/duration, value: 1s}]'}]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		scale := func(factor float64, content []byte) (*Pace, []byte, error) {
			w, err := New(Speed{Factor: factor})
			require.NoError(t, err)
			scaled, err := w.Scale("rollout.yaml", content)
			return w, scaled, err
		}
		found, same, err := scale(1, content)
		if err != nil {
			require.ErrorContains(t, err, "rollout.yaml: ")
			_, _, again := scale(0.1, content)
			require.Error(t, again)
			return
		}
		require.Equal(t, string(content), string(same))
		_, shorter, err := scale(0.01, content)
		require.NoError(t, err)
		if found.pauses+found.intervals+found.windows == 0 && !bytes.Contains(content, []byte("initialDelay")) {
			require.Equal(t, string(content), string(shorter))
		}
		left, _, err := scale(1, shorter)
		require.NoError(t, err, "%s", shorter)
		assert.Equal(t, [3]int{found.pauses, found.intervals, found.windows}, [3]int{left.pauses, left.intervals, left.windows}, "%s", shorter)
		_, _, err = scale(100, content)
		require.NoError(t, err)
	})
}
