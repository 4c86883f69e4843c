package schema

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// Rule refuses a request that does not have the form of the specification. If one of the service's
// own rules refuses a property, only that rule reports it, with the service's own code. Source of
// the code: azure-docs azure-resource-manager/templates/common-deployment-errors, 25 June 2020.
func (t *Type) Rule(ofService []arm.Rule) arm.Rule {
	return arm.Rule{ID: "Schema", Code: "InvalidRequestContent", Broken: func(s arm.Subject) []arm.Finding {
		told := s.Judge(ofService)
		return slices.DeleteFunc(t.broken(s), func(f arm.Finding) bool {
			return slices.ContainsFunc(told, func(v arm.Violation) bool { return v.Property == f.Property })
		})
	}}
}

func (t *Type) broken(s arm.Subject) []arm.Finding {
	body := maps.Clone(s.In)
	var findings []arm.Finding
	for _, parameter := range s.Path.Parameters() {
		// The rule for names reports these mistakes, in better words.
		if facts := t.Names[parameter]; facts != nil && (s.Name.Pattern == nil || s.Name.Pattern.MatchString(s.In.Text(parameter))) {
			findings = append(findings, facts.check(parameter, s.In[parameter], true)...)
		}
		// A property of the body may have the same name, such as the scope of a role assignment.
		if facts := t.model[strings.ToLower(parameter)]; facts == nil || facts.ReadOnly {
			delete(body, parameter)
		}
	}
	for _, parameter := range t.Query {
		delete(body, parameter)
	}
	if _, ok := body["location"]; !ok {
		// azure-native fills in the location of the resource group, or the one that it is
		// configured with. Source: pulumi-azure-native#66 (20 July 2020) and #654 (10 March 2021).
		body["location"] = arm.Unknown{}
		if t.model["location"] == nil {
			delete(body, "location")
		}
	}
	// A package for another version of the API may lack some properties: the SDK's types decide
	// about these.
	exact := t.Speaks(s.Token)
	return append(findings, t.model.check("", body, exact)...)
}

// Speaks says whether the package speaks the version of the API that a Pulumi token names.
func (t *Type) Speaks(token string) bool {
	return strings.Contains(token, "/v"+strings.ReplaceAll(t.APIVersion, "-", "")+":")
}

func (m model) check(path string, object map[string]any, exact bool) []arm.Finding {
	var findings []arm.Finding
	for _, name := range slices.Sorted(slices.Values(m.required())) {
		if !has(object, name, m[strings.ToLower(name)].Client) {
			findings = append(findings, arm.Found(arm.Join(path, name), "%s is missing; Azure requires it", arm.Join(path, name))...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := arm.Join(path, name)
		facts := m[strings.ToLower(name)]
		switch {
		case facts == nil && exact:
			findings = append(findings, arm.Found(at, "Azure has no property %s here; take it out", at)...)
		case facts == nil:
		case facts.ReadOnly:
			findings = append(findings, arm.Found(at, "%s is set by Azure alone; take it out", at)...)
		default:
			findings = append(findings, facts.check(at, object[name], exact)...)
		}
	}
	return findings
}

// has says whether an object has a property under one of its names, with any capitals.
func has(object map[string]any, names ...string) bool {
	for key := range object {
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, key) }) {
			return true
		}
	}
	return false
}

// check compares a value with the facts. It accepts a value that a preview does not know yet.
func (f *Facts) check(path string, value any, exact bool) []arm.Finding {
	if _, unknown := value.(arm.Unknown); unknown || value == nil {
		return nil
	}
	if f.set() {
		return nil
	}
	if want := f.mistyped(value); want != "" {
		return arm.Found(path, "%s is %v; it must be %s", path, value, want)
	}
	if len(f.Enum) > 0 && !slices.ContainsFunc(f.Enum, func(allowed any) bool { return reflect.DeepEqual(allowed, value) }) {
		return arm.Found(path, "%s is '%v'; use %s", path, value, list(f.Enum))
	}
	switch value := value.(type) {
	case string:
		return f.checkText(path, value)
	case float64:
		return f.checkNumber(path, value)
	case []any:
		return f.checkItems(path, value, exact)
	case map[string]any:
		if f.Values != nil {
			var findings []arm.Finding
			for _, key := range slices.Sorted(maps.Keys(value)) {
				findings = append(findings, f.Values.check(arm.Join(path, key), value[key], exact)...)
			}
			return findings
		}
		if f.model != nil {
			return f.model.check(path, value, exact)
		}
	}
	return nil
}

// set reports whether a map has keys only, because Azure sets all of its values. azure-native takes
// the list of keys, such as the ids of identities.
func (f *Facts) set() bool {
	if f.Values == nil || len(f.Values.model) == 0 {
		return false
	}
	for _, facts := range f.Values.model {
		if !facts.ReadOnly {
			return false
		}
	}
	return true
}

// mistyped returns the expected type of a value, or "" if the value has it.
func (f *Facts) mistyped(value any) string {
	kind := reflect.TypeOf(value).Kind()
	switch f.Type {
	case "Boolean":
		if kind != reflect.Bool {
			return "true or false"
		}
	case "Number", "UnixTime":
		if kind != reflect.Float64 {
			return "a number"
		}
	case "Sequence":
		if kind != reflect.Slice {
			return "a list"
		}
	case "Composite", "Dictionary":
		if kind != reflect.Map {
			return "an object"
		}
	case "String", "Uuid", "DateTime", "Date", "TimeSpan":
		text, ok := value.(string)
		switch {
		case !ok:
			return "a text"
		case f.Type == "Uuid" && !arm.GUID.MatchString(text):
			return "a GUID"
		case f.Type == "DateTime" && !parses(time.RFC3339, text):
			return "a time such as 2024-01-31T12:00:00Z"
		case f.Type == "Date" && !parses(time.DateOnly, text):
			return "a date such as 2024-01-31"
		}
	}
	return ""
}

func parses(layout, text string) bool {
	_, err := time.Parse(layout, text)
	return err == nil
}

func (f *Facts) checkText(path, text string) []arm.Finding {
	length := utf8.RuneCountInString(text)
	switch {
	case f.MinLength != nil && length < *f.MinLength:
		return arm.Found(path, "%s has %d characters; it must have %d at least", path, length, *f.MinLength)
	case f.MaxLength != nil && length > *f.MaxLength:
		return arm.Found(path, "%s has %d characters; it must have %d at most", path, length, *f.MaxLength)
	case f.pattern != nil && !f.pattern.MatchString(text):
		return arm.Found(path, "%s is '%s'; it must match %s", path, text, f.Pattern)
	}
	return nil
}

func (f *Facts) checkNumber(path string, number float64) []arm.Finding {
	switch {
	case f.Minimum != nil && number < *f.Minimum:
		return arm.Found(path, "%s is %v; it must be %v at least", path, number, *f.Minimum)
	case f.Maximum != nil && number > *f.Maximum:
		return arm.Found(path, "%s is %v; it must be %v at most", path, number, *f.Maximum)
	case f.ExclusiveMinimum != nil && number <= *f.ExclusiveMinimum:
		return arm.Found(path, "%s is %v; it must be more than %v", path, number, *f.ExclusiveMinimum)
	case f.ExclusiveMaximum != nil && number >= *f.ExclusiveMaximum:
		return arm.Found(path, "%s is %v; it must be less than %v", path, number, *f.ExclusiveMaximum)
	case f.MultipleOf != nil && math.Mod(number, *f.MultipleOf) != 0:
		return arm.Found(path, "%s is %v; it must be a multiple of %v", path, number, *f.MultipleOf)
	}
	return nil
}

func (f *Facts) checkItems(path string, items []any, exact bool) []arm.Finding {
	switch {
	case f.MinItems != nil && len(items) < *f.MinItems:
		return arm.Found(path, "%s has %d elements; it must have %d at least", path, len(items), *f.MinItems)
	case f.MaxItems != nil && len(items) > *f.MaxItems:
		return arm.Found(path, "%s has %d elements; it must have %d at most", path, len(items), *f.MaxItems)
	}
	var findings []arm.Finding
	for i, item := range items {
		at := arm.Indexed(path, i)
		if f.UniqueItems && slices.ContainsFunc(items[:i], func(other any) bool { return reflect.DeepEqual(other, item) }) {
			findings = append(findings, arm.Found(at, "%s repeats an element before it; take it out", at)...)
		}
		if f.Items != nil {
			findings = append(findings, f.Items.check(at, item, exact)...)
		}
	}
	return findings
}

func list(values []any) string {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		texts = append(texts, fmt.Sprint(value))
	}
	return strings.Join(texts, ", ")
}
