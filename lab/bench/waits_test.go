package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestUnit_PausesAndMeasurementsAreWaits(t *testing.T) {
	t.Parallel()
	object := func(text string) unstructured.Unstructured {
		var o unstructured.Unstructured
		require.NoError(t, yaml.Unmarshal([]byte(text), &o.Object))
		return o
	}
	rollout := object(`
spec: {strategy: {canary: {steps: [{setWeight: 10}, {pause: {duration: 10s}}, {analysis: {templates: [{templateName: a}, {templateName: b}]}},
  {pause: {duration: 1m}}, {analysis: {templates: [{templateName: c}]}}]}}}`)
	templates := []unstructured.Unstructured{
		object(`{metadata: {name: a}, spec: {metrics: [{count: 3, interval: 4s}]}}`),
		object(`{metadata: {name: b}, spec: {metrics: [{count: 2, interval: 5s}]}}`),
		object(`{metadata: {name: c}, spec: {metrics: [{interval: 5s}]}}`),
	}
	waits, err := waitsOf(&rollout, templates)
	require.NoError(t, err)
	assert.Equal(t, 78*time.Second, waits, "two pauses, and the longer of the analyses that run at the same time")
	templates[0] = object(`{metadata: {name: a}, spec: {metrics: [{count: 3, interval: soon}]}}`)
	_, err = waitsOf(&rollout, templates)
	require.ErrorContains(t, err, "AnalysisTemplate a")
}
