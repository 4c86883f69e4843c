// Package untyped converts the platform's own Go types into inputs of resources, where the SDK has
// no Go types for them: the values of a chart, the spec of a custom resource.
package untyped

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// MapOf returns a struct's fields under their JSON names. Each struct in it becomes a pulumi.Map,
// so that a caller can add an output to it. MapOf returns an error if JSON does not write value as
// an object.
func MapOf(value any) (pulumi.Map, error) {
	plain, err := PlainOf(value)
	if err != nil {
		return nil, err
	}
	return mapOf(plain), nil
}

// PlainOf is MapOf in the free form that JSON decodes objects into.
func PlainOf(value any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%T cannot be written as JSON: %w", value, err)
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, fmt.Errorf("%T is no object in JSON: %w", value, err)
	}
	return plain, nil
}

func mapOf(plain map[string]any) pulumi.Map {
	out := make(pulumi.Map, len(plain))
	for key, value := range plain {
		if nested, ok := value.(map[string]any); ok {
			out[key] = mapOf(nested)
		} else {
			// pulumi.Any would do the same and cost this package 3 CPU-seconds to compile; see package
			// object.
			out[key] = pulumi.ToOutput(value)
		}
	}
	return out
}
