package untyped

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_StructsBecomeMapsThatTakeOutputs(t *testing.T) {
	t.Parallel()
	type inner struct {
		Name string `json:"its.name"`
	}
	fields, err := MapOf(struct {
		Replicas int      `json:"replicas"`
		Inner    inner    `json:"inner"`
		None     *inner   `json:"none,omitempty"`
		Some     []string `json:"some"`
	}{Replicas: 2, Inner: inner{"a"}, Some: []string{"b"}})
	require.NoError(t, err)
	assert.Equal(t, pulumi.Map{
		"replicas": pulumi.Any(2.0),
		"inner":    pulumi.Map{"its.name": pulumi.Any("a")},
		"some":     pulumi.Any([]any{"b"}),
	}, fields)

	_, err = MapOf([]string{"no object"})
	require.ErrorContains(t, err, "[]string is no object in JSON")
	_, err = MapOf(map[string]any{"no value": func() {}})
	require.ErrorContains(t, err, "cannot be written as JSON")
}
