package policy

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
)

// unknown stands for a value that is not known yet, or that no rule reads, such as a file.
var unknown = resource.MakeComputed(resource.NewProperty(""))

// inputs converts the inputs of a transform, which the engine has resolved as far as possible, into
// the form that rules read, with the URNs of the resources that each was made of.
func inputs(ctx context.Context, props pulumi.Map) (resource.PropertyMap, map[string][]string, error) {
	values, references := resource.PropertyMap{}, map[string][]string{}
	for key, input := range props {
		value, urns, err := resolve(ctx, input)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", key, err)
		}
		values[resource.PropertyKey(key)] = value
		if len(urns) > 0 {
			references[key] = urns
		}
	}
	return values, references, nil
}

// resolve returns the value of an input, or of a part of one.
func resolve(ctx context.Context, input any) (resource.PropertyValue, []string, error) {
	switch in := input.(type) {
	case nil:
		return resource.NewNullProperty(), nil, nil
	case pulumi.Output:
		return await(ctx, in)
	case pulumi.Map:
		return object(ctx, in)
	case map[string]any:
		return object(ctx, in)
	case pulumi.Array:
		return list(ctx, in)
	case []any:
		return list(ctx, in)
	case pulumi.String:
		return resource.NewProperty(string(in)), nil, nil
	case string:
		return resource.NewProperty(in), nil, nil
	case pulumi.Bool:
		return resource.NewProperty(bool(in)), nil, nil
	case bool:
		return resource.NewProperty(in), nil, nil
	case pulumi.Float64:
		return resource.NewProperty(float64(in)), nil, nil
	case float64:
		return resource.NewProperty(in), nil, nil
	default:
		return unknown, nil, nil
	}
}

func await(ctx context.Context, output pulumi.Output) (resource.PropertyValue, []string, error) {
	result, err := internals.UnsafeAwaitOutput(ctx, output)
	if err != nil {
		return unknown, nil, err
	}
	var urns []string
	for _, dependency := range result.Dependencies {
		urn, err := internals.UnsafeAwaitOutput(ctx, dependency.URN())
		if err != nil {
			return unknown, nil, err
		}
		urns = append(urns, fmt.Sprint(urn.Value))
	}
	value := unknown
	if result.Known {
		var more []string
		if value, more, err = resolve(ctx, result.Value); err != nil {
			return unknown, nil, err
		}
		urns = append(urns, more...)
	}
	if result.Secret {
		value = resource.MakeSecret(value)
	}
	return value, urns, nil
}

func object[V any](ctx context.Context, in map[string]V) (resource.PropertyValue, []string, error) {
	out, urns := resource.PropertyMap{}, []string(nil)
	for key, input := range in {
		value, more, err := resolve(ctx, input)
		if err != nil {
			return unknown, nil, fmt.Errorf("%s: %w", key, err)
		}
		out[resource.PropertyKey(key)] = value
		urns = append(urns, more...)
	}
	return resource.NewProperty(out), urns, nil
}

func list[V any](ctx context.Context, in []V) (resource.PropertyValue, []string, error) {
	out, urns := make([]resource.PropertyValue, len(in)), []string(nil)
	for i, input := range in {
		value, more, err := resolve(ctx, input)
		if err != nil {
			return unknown, nil, fmt.Errorf("%d: %w", i, err)
		}
		out[i] = value
		urns = append(urns, more...)
	}
	return resource.NewProperty(out), urns, nil
}
