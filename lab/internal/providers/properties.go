package providers

import (
	"fmt"
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

// Unmarshal reads properties from a request. Unknown values stay Computed and secrets stay Secret;
// output values become one or both of these, resource references their id, and nulls are dropped:
// Azure treats null as absent.
func Unmarshal(properties *structpb.Struct) (resource.PropertyMap, error) {
	result, err := plugin.UnmarshalProperties(properties, plugin.MarshalOptions{
		KeepUnknowns: true, KeepSecrets: true, SkipNulls: true,
	})
	if err != nil {
		return nil, fmt.Errorf("properties of the request cannot be read: %w", err)
	}
	return result, nil
}

// Marshal writes properties into a response, keeping unknown values and secrets as such.
func Marshal(properties resource.PropertyMap) (*structpb.Struct, error) {
	result, err := plugin.MarshalProperties(properties, plugin.MarshalOptions{
		KeepUnknowns: true, KeepSecrets: true, SkipNulls: true,
	})
	if err != nil {
		return nil, fmt.Errorf("properties of the response cannot be written: %w", err)
	}
	return result, nil
}

// Reveal returns value without the marks of secrets, at any depth. Unknown values stay Computed.
// Use the result for inspection only, never in an answer to the engine or in a log.
func Reveal(value resource.PropertyValue) resource.PropertyValue {
	switch {
	case value.IsSecret():
		return Reveal(value.SecretValue().Element)
	case value.IsOutput():
		if !value.OutputValue().Known {
			return resource.MakeComputed(resource.NewProperty(""))
		}
		return Reveal(value.OutputValue().Element)
	case value.IsArray():
		items := make([]resource.PropertyValue, 0, len(value.ArrayValue()))
		for _, item := range value.ArrayValue() {
			items = append(items, Reveal(item))
		}
		return resource.NewProperty(items)
	case value.IsObject():
		return resource.NewProperty(RevealAll(value.ObjectValue()))
	default:
		return value
	}
}

// RevealAll is Reveal for each property of a map.
func RevealAll(properties resource.PropertyMap) resource.PropertyMap {
	result := maps.Clone(properties)
	for key, value := range result {
		result[key] = Reveal(value)
	}
	return result
}

// Diff compares the inputs of a resource before and after. mustReplace reports, for the path of a
// changed property, whether the change cannot be made in place. Secrets are compared by value. The
// answer has the path of each change. If one of them forces a replacement and deleteBeforeReplace
// is set, it asks the engine to delete the old resource first.
func Diff(before, after resource.PropertyMap, mustReplace func(path resource.PropertyPath) bool,
	deleteBeforeReplace bool,
) (*pulumirpc.DiffResponse, error) {
	before, after = RevealAll(before), RevealAll(after)
	response := &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE, HasDetailedDiff: true}
	diff := before.Diff(after)
	if diff == nil {
		return response, nil
	}
	response.Changes = pulumirpc.DiffResponse_DIFF_SOME
	response.DetailedDiff = map[string]*pulumirpc.PropertyDiff{}
	for key, change := range plugin.NewDetailedDiffFromObjectDiff(diff, true) {
		path, err := resource.ParsePropertyPath(key)
		if err != nil {
			return nil, fmt.Errorf("path %q of a changed property cannot be read: %w", key, err)
		}
		kind := change.Kind
		if mustReplace(path) {
			kind = kind.AsReplace()
			response.Replaces = append(response.Replaces, key)
		}
		response.Diffs = append(response.Diffs, key)
		response.DetailedDiff[key] = &pulumirpc.PropertyDiff{Kind: pulumirpc.PropertyDiff_Kind(kind), InputDiff: true}
	}
	response.DeleteBeforeReplace = deleteBeforeReplace && len(response.Replaces) > 0
	return response, nil
}
