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

func TestUnit_TheTwinMustRegisterTheSame(t *testing.T) {
	t.Parallel()
	one := func(name string) map[string]registration {
		return map[string]registration{"urn:a": {Op: "same", Type: "t", Inputs: map[string]any{"name": name}}}
	}
	require.NoError(t, different(one("x"), one("x")))
	err := different(one("x"), one("y"))
	require.ErrorContains(t, err, "urn:a differs (- ours, + the twin's)")
	require.ErrorContains(t, different(one("x"), map[string]registration{}), "urn:a is not registered by the twin")
	require.ErrorContains(t, different(one("x"), map[string]registration{"urn:a": one("x")["urn:a"], "urn:b": {}}), "urn:b is registered by the twin alone")
	require.ErrorContains(t, different(nil, nil), "the program registered nothing")
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
