package policy

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// property is the value of a property as rules need it: secrets are looked through, but never
// shown.
type property struct {
	value  resource.PropertyValue
	secret bool
}

// at returns the property at path. A path below an unknown value is unknown, and a path below a
// missing value is missing.
func (r Resource) at(path ...string) property {
	return property{value: resource.NewProperty(r.Properties)}.at(path...)
}

func (p property) at(path ...string) property {
	p = p.open()
	for _, key := range path {
		if p.unknown() {
			return p
		}
		if !p.value.IsObject() {
			return property{value: resource.NewNullProperty(), secret: p.secret}
		}
		p = property{value: p.value.ObjectValue()[resource.PropertyKey(key)], secret: p.secret}.open()
	}
	return p
}

// open unwraps secrets and outputs.
func (p property) open() property {
	for {
		switch {
		case p.value.IsSecret():
			p = property{value: p.value.SecretValue().Element, secret: true}
		case p.value.IsOutput() && !p.value.OutputValue().Known:
			return property{value: resource.MakeComputed(resource.NewProperty("")), secret: p.secret}
		case p.value.IsOutput():
			p = property{value: p.value.OutputValue().Element, secret: p.secret || p.value.OutputValue().Secret}
		default:
			return p
		}
	}
}

func (p property) unknown() bool { return p.value.IsComputed() }
func (p property) absent() bool  { return p.value.IsNull() }
func (p property) isTrue() bool  { return p.value.IsBool() && p.value.BoolValue() }
func (p property) isFalse() bool { return p.value.IsBool() && !p.value.BoolValue() }

// empty reports that there is no value, or that it has no character or element.
func (p property) empty() bool {
	switch {
	case p.value.IsString():
		return strings.TrimSpace(p.value.StringValue()) == ""
	case p.value.IsArray():
		return len(p.value.ArrayValue()) == 0
	default:
		return p.absent()
	}
}

// text is the value when it is a string, or else "".
func (p property) text() string {
	if p.value.IsString() {
		return p.value.StringValue()
	}
	return ""
}

// is reports that the value is one of wanted. Azure ignores case in the values of its enumerations.
func (p property) is(wanted ...string) bool {
	for _, w := range wanted {
		if strings.EqualFold(p.text(), w) {
			return true
		}
	}
	return false
}

// may reports that the value is, or could still become, one of wanted.
func (p property) may(wanted ...string) bool { return p.unknown() || p.is(wanted...) }

// elements are the elements of a list, none when it is unknown.
func (p property) elements() []property {
	if !p.value.IsArray() {
		return nil
	}
	list := make([]property, len(p.value.ArrayValue()))
	for i, v := range p.value.ArrayValue() {
		list[i] = property{value: v, secret: p.secret}.open()
	}
	return list
}

// String shows the value in a message.
func (p property) String() string {
	switch {
	case p.secret:
		return "(secret)"
	case p.absent():
		return "not set"
	case p.value.IsString():
		return fmt.Sprintf("%q", p.value.StringValue())
	case p.value.IsBool() || p.value.IsNumber():
		return fmt.Sprint(p.value.V)
	default:
		return "of the wrong type"
	}
}
