package arm

import (
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// echo returns the inputs that the resource gives back: filtered to the outputs of the SDK's types,
// in their shape, without write-only values. Secrets stay secret.
func (d *Definition) echo(inputs resource.PropertyMap) resource.PropertyMap {
	result := resource.PropertyMap{}
	for name, value := range hide(inputs, d.WriteOnly...) {
		t, ok := d.Outputs[string(name)]
		if !ok {
			continue
		}
		if shaped, ok := shape(value, t); ok {
			result[name] = shaped
		}
	}
	return result
}

// foresee returns the outputs that a preview knows: the echo of the inputs, and the outputs before
// the change, if there are any. Values that Azure always adds inside an echoed object are unknown.
// Without that, a program would take an issuer's URL, say, for known and empty.
func (d *Definition) foresee(inputs, before resource.PropertyMap) resource.PropertyMap {
	result := before.Copy()
	for name, value := range d.echo(inputs) {
		result[name] = withUnknowns(value, before[name], d.Outputs[string(name)])
	}
	return result
}

// hide returns properties without the values at the dotted paths. A path may lead through secrets
// and into each item of a list.
func hide(properties resource.PropertyMap, paths ...string) resource.PropertyMap {
	result := properties.Copy()
	for _, path := range paths {
		first, rest, nested := strings.Cut(path, ".")
		name := resource.PropertyKey(first)
		value, ok := result[name]
		switch {
		case !ok:
		case nested:
			result[name] = hideIn(value, rest)
		default:
			delete(result, name)
		}
	}
	return result
}

func hideIn(value resource.PropertyValue, path string) resource.PropertyValue {
	return inside(value, func(inner resource.PropertyValue) resource.PropertyValue {
		switch {
		case inner.IsObject():
			return resource.NewProperty(hide(inner.ObjectValue(), path))
		case inner.IsArray():
			items := slices.Clone(inner.ArrayValue())
			for i, item := range items {
				items[i] = hideIn(item, path)
			}
			return resource.NewProperty(items)
		default:
			return inner
		}
	})
}

// restore returns properties with the values of from at the dotted paths. It matches items of lists
// by their position.
func restore(properties, from resource.PropertyMap, paths ...string) resource.PropertyMap {
	result := properties.Copy()
	for _, path := range paths {
		first, rest, nested := strings.Cut(path, ".")
		name := resource.PropertyKey(first)
		value, ok := from[name]
		switch {
		case !ok:
		case nested:
			result[name] = restoreIn(result[name], value, rest)
		default:
			result[name] = value
		}
	}
	return result
}

func restoreIn(value, from resource.PropertyValue, path string) resource.PropertyValue {
	for from.IsSecret() {
		from = from.SecretValue().Element
	}
	return inside(value, func(inner resource.PropertyValue) resource.PropertyValue {
		switch {
		case from.IsObject() && inner.IsObject():
			return resource.NewProperty(restore(inner.ObjectValue(), from.ObjectValue(), path))
		case from.IsArray() && inner.IsArray():
			items := slices.Clone(inner.ArrayValue())
			for i := range min(len(items), len(from.ArrayValue())) {
				items[i] = restoreIn(items[i], from.ArrayValue()[i], path)
			}
			return resource.NewProperty(items)
		default:
			return inner
		}
	})
}

// inside applies change to the content of a secret, and keeps it secret, or to value itself.
func inside(value resource.PropertyValue, change func(resource.PropertyValue) resource.PropertyValue) resource.PropertyValue {
	if value.IsSecret() {
		return resource.MakeSecret(inside(value.SecretValue().Element, change))
	}
	return change(value)
}

// shape returns value in the form of the SDK's output type t, and false if it does not fit at all.
func shape(value resource.PropertyValue, t reflect.Type) (resource.PropertyValue, bool) {
	switch {
	case value.IsSecret():
		inner, ok := shape(value.SecretValue().Element, t)
		return resource.MakeSecret(inner), ok
	case value.IsComputed():
		return value, true
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shape(value, t.Elem())
	case reflect.Interface:
		return value, true
	case reflect.String:
		return value, value.IsString()
	case reflect.Bool:
		return value, value.IsBool()
	case reflect.Int, reflect.Float64:
		return value, value.IsNumber()
	case reflect.Slice:
		if !value.IsArray() {
			return value, false
		}
		var items []resource.PropertyValue
		for _, item := range value.ArrayValue() {
			if shaped, ok := shape(item, t.Elem()); ok {
				items = append(items, shaped)
			}
		}
		return resource.NewProperty(items), true
	case reflect.Map:
		return shapeMap(value, t.Elem())
	case reflect.Struct:
		if !value.IsObject() {
			return value, false
		}
		result := resource.PropertyMap{}
		for i := range t.NumField() {
			name := resource.PropertyKey(PropertyName(t.Field(i)))
			if inner, ok := value.ObjectValue()[name]; ok {
				if shaped, ok := shape(inner, t.Field(i).Type); ok {
					result[name] = shaped
				}
			}
		}
		return resource.NewProperty(result), true
	default:
		return value, false
	}
}

// shapeMap also turns a list of names into an object: Azure takes the user-assigned identities of a
// resource as a list of ids and gives them back as an object with the ids as keys.
func shapeMap(value resource.PropertyValue, elem reflect.Type) (resource.PropertyValue, bool) {
	result := resource.PropertyMap{}
	switch {
	case value.IsObject():
		for name, inner := range value.ObjectValue() {
			if shaped, ok := shape(inner, elem); ok {
				result[name] = shaped
			}
		}
	case value.IsArray():
		for _, item := range value.ArrayValue() {
			switch {
			case item.IsString():
				result[resource.PropertyKey(item.StringValue())] = resource.NewProperty(resource.PropertyMap{})
			case item.IsComputed():
				return resource.MakeComputed(resource.NewProperty("")), true
			}
		}
	default:
		return value, false
	}
	return resource.NewProperty(result), true
}

// withUnknowns adds to value each property that the type t always has and value lacks: from before
// if it is there, or as unknown.
func withUnknowns(value, before resource.PropertyValue, t reflect.Type) resource.PropertyValue {
	for before.IsSecret() {
		before = before.SecretValue().Element
	}
	if value.IsSecret() {
		return resource.MakeSecret(withUnknowns(value.SecretValue().Element, before, t))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return withUnknowns(value, before, t.Elem())
	case reflect.Slice:
		if !value.IsArray() {
			return value
		}
		var items []resource.PropertyValue
		for i, item := range value.ArrayValue() {
			var old resource.PropertyValue
			if before.IsArray() && i < len(before.ArrayValue()) {
				old = before.ArrayValue()[i]
			}
			items = append(items, withUnknowns(item, old, t.Elem()))
		}
		return resource.NewProperty(items)
	case reflect.Map:
		if !value.IsObject() {
			return value
		}
		result := resource.PropertyMap{}
		for name, item := range value.ObjectValue() {
			result[name] = withUnknowns(item, member(before, name), t.Elem())
		}
		return resource.NewProperty(result)
	case reflect.Struct:
		if !value.IsObject() {
			return value
		}
		result := value.ObjectValue().Copy()
		for i := range t.NumField() {
			name := resource.PropertyKey(PropertyName(t.Field(i)))
			old := member(before, name)
			if inner, ok := result[name]; ok {
				result[name] = withUnknowns(inner, old, t.Field(i).Type)
				continue
			}
			switch {
			case old.HasValue():
				result[name] = old
			case isRequired(t.Field(i).Type):
				result[name] = resource.MakeComputed(resource.NewProperty(""))
			}
		}
		return resource.NewProperty(result)
	default:
		return value
	}
}

func member(object resource.PropertyValue, name resource.PropertyKey) resource.PropertyValue {
	if object.IsObject() {
		return object.ObjectValue()[name]
	}
	return resource.PropertyValue{}
}

// overlay puts over on top of base, object by object and item by item. Values that base keeps
// secret stay secret.
func overlay(base, over resource.PropertyMap) resource.PropertyMap {
	result := base.Copy()
	for name, value := range over {
		result[name] = overlayOn(result[name], value)
	}
	return result
}

func overlayOn(base, over resource.PropertyValue) resource.PropertyValue {
	return inside(base, func(inner resource.PropertyValue) resource.PropertyValue {
		switch {
		case inner.IsObject() && over.IsObject():
			return resource.NewProperty(overlay(inner.ObjectValue(), over.ObjectValue()))
		case inner.IsArray() && over.IsArray() && len(inner.ArrayValue()) == len(over.ArrayValue()):
			items := slices.Clone(inner.ArrayValue())
			for i, item := range over.ArrayValue() {
				items[i] = overlayOn(items[i], item)
			}
			return resource.NewProperty(items)
		default:
			return over
		}
	})
}

// markSecrets returns properties with the same secrets as like. Azure does not know which values a
// program keeps secret, so a refresh must take the marks from the engine.
func markSecrets(properties, like resource.PropertyMap) resource.PropertyMap {
	result := properties.Copy()
	for name, value := range result {
		result[name] = markSecret(value, like[name])
	}
	return result
}

func markSecret(value, like resource.PropertyValue) resource.PropertyValue {
	switch {
	case like.IsSecret():
		return resource.MakeSecret(markSecret(value, like.SecretValue().Element))
	case value.IsObject() && like.IsObject():
		return resource.NewProperty(markSecrets(value.ObjectValue(), like.ObjectValue()))
	case value.IsArray() && like.IsArray():
		items := make([]resource.PropertyValue, len(value.ArrayValue()))
		for i, item := range value.ArrayValue() {
			items[i] = item
			if i < len(like.ArrayValue()) {
				items[i] = markSecret(item, like.ArrayValue()[i])
			}
		}
		return resource.NewProperty(items)
	default:
		return value
	}
}
