package untyped

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
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
		Null     *inner   `json:"null"`
	}{Replicas: 2, Inner: inner{"a"}, Some: []string{"b"}})
	require.NoError(t, err)
	assert.IsType(t, pulumi.Map{}, fields["inner"], "an output can be put in its midst")
	assert.Equal(t, map[string]any{
		"replicas": 2.0,
		"inner":    map[string]any{"its.name": "a"},
		"some":     []any{"b"},
		"null":     nil,
	}, plain(t, fields))

	_, err = MapOf([]string{"no object"})
	require.ErrorContains(t, err, "[]string is no object in JSON")
	_, err = MapOf(map[string]any{"no value": func() {}})
	require.ErrorContains(t, err, "cannot be written as JSON")
}

// plain returns what the inputs resolve to: two outputs are never equal, whatever they hold.
func plain(t *testing.T, fields pulumi.Map) map[string]any {
	t.Helper()
	values := map[string]any{}
	for key, input := range fields {
		if nested, ok := input.(pulumi.Map); ok {
			values[key] = plain(t, nested)
			continue
		}
		output, ok := input.(pulumi.Output)
		require.True(t, ok, key)
		result, err := internals.UnsafeAwaitOutput(t.Context(), output)
		require.NoError(t, err)
		values[key] = result.Value
	}
	return values
}
