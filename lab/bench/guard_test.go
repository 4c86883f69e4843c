package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/bench/figures"
)

func TestUnit_ARatioAboveItsBoundFails(t *testing.T) {
	t.Parallel()
	recorded := []byte(`{"a": 1.5, "b": 2}`)
	within := []figures.Row{{ID: "a", Value: 1.5}, {ID: "b", Value: 1.9}}
	require.NoError(t, judge(within, recorded))
	err := judge([]figures.Row{{ID: "a", What: "preview", Value: 1.51}, {ID: "c", Value: 1}}, recorded)
	require.ErrorContains(t, err, "a (preview, compared with ) is 1.51, above its bound 1.50")
	require.ErrorContains(t, err, "c has no bound")
	require.ErrorContains(t, judge(within, []byte("no JSON")), "lab/bench/bounds.json")
}

func TestUnit_EveryMeasureHasItsOwnName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, m := range measures() {
		assert.False(t, seen[m.name], m.name)
		assert.NotEmpty(t, m.about, m.name)
		seen[m.name] = true
	}
}
