package arm

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// PropertyName returns the name that a field of an SDK struct has on the wire, or "" for a field
// that is no property.
func PropertyName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("pulumi"), ",")
	return name
}

// checkSchema compares inputs with the struct t of the SDK. It returns one failure for each unknown
// property, missing required property and wrong type, at any depth. It looks into secrets; unknown
// values fit anywhere. The SDK marks a required property by a field that is neither a pointer, a
// list nor a map, so a missing required list is not noticed here.
func checkSchema(inputs resource.PropertyMap, t reflect.Type, required []string) []*pulumirpc.CheckFailure {
	failures := checkObject("", inputs, t)
	for _, name := range required {
		missing := func(f *pulumirpc.CheckFailure) bool { return f.GetProperty() == name }
		if _, ok := inputs[resource.PropertyKey(name)]; !ok && !slices.ContainsFunc(failures, missing) {
			failures = append(failures, failure(name,
				"%s is missing; set it, or azure-native would make up a name with a random suffix", name))
		}
	}
	return failures
}

func failure(path, reason string, arguments ...any) *pulumirpc.CheckFailure {
	return &pulumirpc.CheckFailure{Property: path, Reason: fmt.Sprintf(reason, arguments...)}
}

func checkObject(path string, object resource.PropertyMap, t reflect.Type) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		field := t.Field(i)
		name := PropertyName(field)
		if name == "" {
			continue
		}
		fields[name] = field.Type
		value, ok := object[resource.PropertyKey(name)]
		if !ok && isRequired(field.Type) {
			failures = append(failures, failure(Join(path, name), "%s is missing; it is required", Join(path, name)))
		} else if ok && field.Type.Kind() == reflect.String && isEmpty(value) {
			// The typed SDK sends an empty text if a program leaves out a required text inside of
			// an object with defaults.
			failures = append(failures, failure(Join(path, name), "%s is empty; it is required", Join(path, name)))
		}
	}
	for _, name := range object.StableKeys() {
		if strings.HasPrefix(string(name), "__") {
			continue // the engine's own marks
		}
		field, ok := fields[string(name)]
		if !ok {
			failures = append(failures, failure(Join(path, string(name)), "%s is no property of %s; it has %s",
				Join(path, string(name)), t.Name(), strings.Join(slices.Sorted(maps.Keys(fields)), ", ")))
			continue
		}
		failures = append(failures, checkValue(Join(path, string(name)), object[name], field)...)
	}
	return failures
}

func checkValue(path string, value resource.PropertyValue, t reflect.Type) []*pulumirpc.CheckFailure {
	switch {
	case value.IsSecret():
		return checkValue(path, value.SecretValue().Element, t)
	case value.IsComputed(), value.IsNull(), value.IsOutput():
		return nil
	}
	wrong := func(want string) []*pulumirpc.CheckFailure {
		return []*pulumirpc.CheckFailure{failure(path, "%s is a %s; it must be %s", path, value.TypeString(), want)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return checkValue(path, value, t.Elem())
	case reflect.Interface:
		return nil
	case reflect.String:
		if !value.IsString() {
			return wrong("a string")
		}
	case reflect.Bool:
		if !value.IsBool() {
			return wrong("true or false")
		}
	case reflect.Int:
		if !value.IsNumber() || value.NumberValue() != math.Trunc(value.NumberValue()) {
			return wrong("a whole number")
		}
	case reflect.Float64:
		if !value.IsNumber() {
			return wrong("a number")
		}
	case reflect.Slice:
		if !value.IsArray() {
			return wrong("a list")
		}
		var failures []*pulumirpc.CheckFailure
		for i, item := range value.ArrayValue() {
			failures = append(failures, checkValue(Indexed(path, i), item, t.Elem())...)
		}
		return failures
	case reflect.Map:
		if !value.IsObject() {
			return wrong("an object")
		}
		var failures []*pulumirpc.CheckFailure
		for _, name := range value.ObjectValue().StableKeys() {
			failures = append(failures, checkValue(Join(path, string(name)), value.ObjectValue()[name], t.Elem())...)
		}
		return failures
	case reflect.Struct:
		if !value.IsObject() {
			return wrong("an object")
		}
		return checkObject(path, value.ObjectValue(), t)
	default:
		return []*pulumirpc.CheckFailure{failure(path, "%s has the Go type %s, which the simulated Azure cannot check", path, t)}
	}
	return nil
}

func isEmpty(value resource.PropertyValue) bool {
	if value.IsSecret() {
		value = value.SecretValue().Element
	}
	return value.IsString() && value.StringValue() == ""
}

func isRequired(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return false
	default:
		return true
	}
}

// hasProperty says whether the struct t has the property name.
func hasProperty(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		if PropertyName(t.Field(i)) == name {
			return true
		}
	}
	return false
}

// Join returns the path of a property inside of the object at path.
func Join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
