package arm

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Document has a resource's properties as plain JSON values: nil, bool, float64, string, []any and
// map[string]any. It does not mark secrets. A value that a preview does not know yet is Unknown{}.
// Rules read documents through the methods below, which treat an unknown value as missing, so no
// rule refuses a value that it cannot see.
type Document map[string]any

// Unknown stands for a value that is known only after other resources are created.
type Unknown struct{}

// documentOf reads properties, looking through secrets.
func documentOf(properties resource.PropertyMap) Document {
	result := Document{}
	for key, value := range properties {
		if plain := plainOf(value); plain != nil {
			result[string(key)] = plain
		}
	}
	return result
}

func plainOf(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return plainOf(value.SecretValue().Element)
	case value.IsComputed():
		return Unknown{}
	case value.IsOutput():
		if !value.OutputValue().Known {
			return Unknown{}
		}
		return plainOf(value.OutputValue().Element)
	case value.IsArray():
		items := make([]any, 0, len(value.ArrayValue()))
		for _, item := range value.ArrayValue() {
			items = append(items, plainOf(item))
		}
		return items
	case value.IsObject():
		return map[string]any(documentOf(value.ObjectValue()))
	case value.IsBool(), value.IsNumber(), value.IsString():
		return value.V
	default:
		return nil
	}
}

// Properties turns a document back into engine properties.
func (d Document) Properties() resource.PropertyMap {
	return resource.NewPropertyMapFromMap(d)
}

// Clone returns a copy of d whose top level can be changed.
func (d Document) Clone() Document { return maps.Clone(d) }

// At returns the value at a dotted path such as sku.name, or nil. Under an unknown value everything
// is unknown.
func (d Document) At(path string) any {
	var current any = map[string]any(d)
	for _, key := range strings.Split(path, ".") {
		switch value := current.(type) {
		case Unknown:
			return Unknown{}
		case map[string]any:
			current = value[key]
		default:
			return nil
		}
	}
	return current
}

// Has says whether something, maybe an unknown value, is at path.
func (d Document) Has(path string) bool { return d.At(path) != nil }

// Unsure reports whether the value at path is unknown, so that a rule cannot judge it.
func (d Document) Unsure(path string) bool {
	_, ok := d.At(path).(Unknown)
	return ok
}

// Text returns the string at path, or "" if there is none.
func (d Document) Text(path string) string {
	text, _ := d.At(path).(string)
	return text
}

// Flag says whether true is at path.
func (d Document) Flag(path string) bool {
	flag, _ := d.At(path).(bool)
	return flag
}

// Number returns the number at path.
func (d Document) Number(path string) (float64, bool) {
	number, ok := d.At(path).(float64)
	return number, ok
}

// Items returns the list at path, or nil.
func (d Document) Items(path string) []any {
	items, _ := d.At(path).([]any)
	return items
}

// Texts returns the strings of the list at path. Unknown ones are left out.
func (d Document) Texts(path string) []string {
	var result []string
	for _, item := range d.Items(path) {
		if text, ok := item.(string); ok {
			result = append(result, text)
		}
	}
	return result
}

// Documents returns the objects of the list at path. Unknown ones are left out.
func (d Document) Documents(path string) []Document {
	var result []Document
	for _, item := range d.Items(path) {
		if object, ok := item.(map[string]any); ok {
			result = append(result, object)
		}
	}
	return result
}

// Document returns the object at path, or an empty one.
func (d Document) Document(path string) Document {
	object, _ := d.At(path).(map[string]any)
	return object
}

// Without returns a copy of d without the values at the dotted paths. A path leads into each item
// of a list.
func (d Document) Without(paths ...string) Document {
	result := d.Clone()
	for _, path := range paths {
		key, rest, nested := strings.Cut(path, ".")
		if !nested {
			delete(result, key)
			continue
		}
		switch inner := result[key].(type) {
		case map[string]any:
			result[key] = map[string]any(Document(inner).Without(rest))
		case []any:
			items := slices.Clone(inner)
			for i, item := range items {
				if object, ok := item.(map[string]any); ok {
					items[i] = map[string]any(Document(object).Without(rest))
				}
			}
			result[key] = items
		}
	}
	return result
}

// Merge returns d with the values of over laid over it, object by object.
func (d Document) Merge(over Document) Document {
	result := d.Clone()
	if result == nil {
		result = Document{}
	}
	for key, value := range over {
		inner, ok := value.(map[string]any)
		base, isObject := result[key].(map[string]any)
		if ok && isObject {
			value = map[string]any(Document(base).Merge(inner))
		}
		result[key] = value
	}
	return result
}

// Walk calls visit with the path and value of every string in d, keys of objects included: a few
// Azure types use resource ids as keys.
func (d Document) Walk(visit func(path, text string)) {
	for key, value := range d {
		visit(key, key)
		walk(key, value, visit)
	}
}

func walk(path string, value any, visit func(path, text string)) {
	switch value := value.(type) {
	case string:
		visit(path, value)
	case []any:
		for i, item := range value {
			walk(Indexed(path, i), item, visit)
		}
	case map[string]any:
		for key, item := range value {
			visit(path+"."+key, key)
			walk(path+"."+key, item, visit)
		}
	}
}
