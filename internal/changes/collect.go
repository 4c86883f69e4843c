package changes

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"

	"github.com/gridos/sharedinfra/internal/secretname"
)

// unknown is how the engine's events write a value that is known only after the update
// (sdk/go/common/resource/plugin, UnknownStringValue).
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

// Collector makes a Project out of the events of one operation on its stack. Its zero value is
// ready for the events of a preview.
type Collector struct {
	// Refresh is set for the events of a refresh, which report how the resources have changed since
	// the last update.
	Refresh bool

	changes    []Change
	same       int
	registered registered
}

// See records one event of the engine. Call it for all of them, one after the other.
func (c *Collector) See(event apitype.EngineEvent) {
	var step apitype.StepEventMetadata
	switch {
	case !c.Refresh && event.ResourcePreEvent != nil:
		step = event.ResourcePreEvent.Metadata
	case c.Refresh && event.ResOutputsEvent != nil: // before that, the result of the refresh is unknown
		step = event.ResOutputsEvent.Metadata
	default:
		return
	}
	state := step.New
	if state == nil {
		state = step.Old
	}
	if state == nil || !state.Custom || state.External {
		return
	}
	op, changed := opOf(step.Op)
	if options := optionsOf(step); step.Op == apitype.OpSame && len(options) > 0 { // to the engine, options are no change
		op, changed = Update, true
	}
	if !c.Refresh && (changed || step.Op == apitype.OpSame) {
		c.registered.see(step)
	}
	if !changed {
		if step.Op == apitype.OpSame {
			c.same++
		}
		return
	}
	change := Change{Op: op, URN: step.URN, Type: state.Type, Name: step.URN, Component: componentOf(state.Parent)}
	if u, err := urn.Parse(step.URN); err == nil {
		change.Name = u.Name()
	}
	switch op {
	case Create, Delete:
		change.inputs = state.Inputs
	case Update, Replace:
		change.Properties = slices.Concat(optionsOf(step), properties(step, c.Refresh))
		change.Follows = len(change.Properties) > 0 &&
			!slices.ContainsFunc(change.Properties, func(p Property) bool { return !isUnknown(p.New) })
	}
	c.changes = append(c.changes, change)
}

// opOf translates what a step does. A replacement is three steps, of which one stands for all.
func opOf(op apitype.OpType) (Op, bool) {
	switch op {
	case apitype.OpCreate, apitype.OpImport:
		return Create, true
	case apitype.OpUpdate:
		return Update, true
	case apitype.OpReplace, apitype.OpImportReplacement:
		return Replace, true
	case apitype.OpDelete:
		return Delete, true
	default:
		return "", false
	}
}

// optionsOf returns the resource's options that differ and that decide what a deletion does to it.
func optionsOf(step apitype.StepEventMetadata) []Property {
	if step.Old == nil || step.New == nil {
		return nil
	}
	var found []Property
	if step.Old.Protect != step.New.Protect {
		found = append(found, Property{Path: optionProtect, Old: step.Old.Protect, New: step.New.Protect})
	}
	if step.Old.RetainOnDelete != step.New.RetainOnDelete {
		found = append(found, Property{Path: optionRetain, Old: step.Old.RetainOnDelete, New: step.New.RetainOnDelete})
	}
	return found
}

// The paths that stand for options: no input of a resource begins with a bracket.
const (
	optionProtect = "[protect]"
	optionRetain  = "[retainOnDelete]"
)

// OfOptions reports that no input changes: only the resource's options in Pulumi's state do, and
// nothing in the cloud.
func (c Change) OfOptions() bool {
	return c.Op == Update && len(c.Properties) > 0 && !slices.ContainsFunc(c.Properties, func(p Property) bool {
		return p.Path != optionProtect && p.Path != optionRetain
	})
}

// componentOf is the name of the resource's parent, unless that is the stack itself.
func componentOf(parent string) string {
	u, err := urn.Parse(parent)
	if err != nil || u.QualifiedType() == resource.RootStackType {
		return ""
	}
	return u.Name()
}

// properties are the differences that a step of two states has, by path.
func properties(step apitype.StepEventMetadata, refresh bool) []Property {
	var found []Property
	if step.DetailedDiff == nil { // a provider that only knows which properties differ
		for _, key := range slices.Sorted(slices.Values(step.Diffs)) {
			found = append(found, Property{
				Path: key, Old: withheld(key, readable(step.Old.Inputs[key])), New: withheld(key, readable(step.New.Inputs[key])),
				Replaces: slices.Contains(step.Keys, key),
			})
		}
		return found
	}
	for _, path := range slices.Sorted(maps.Keys(step.DetailedDiff)) {
		diff := step.DetailedDiff[path]
		old, made := valueAt(step.Old.Inputs, path), valueAt(step.New.Inputs, path)
		if reflect.DeepEqual(old, made) && readable(old) != secret { // it is what the provider answered that differs
			old = valueAt(step.Old.Outputs, path)
			if refresh {
				made = valueAt(step.New.Outputs, path)
			}
		}
		p := Property{Path: path, Old: readable(old), New: readable(made)}
		p.Replaces = !refresh && strings.HasSuffix(string(diff.Kind), "-replace")
		if !reflect.DeepEqual(p.Old, p.New) || p.Replaces || p.Old == secret {
			name := path[strings.LastIndexByte(path, '.')+1:]
			p.Old, p.New = withheld(name, p.Old), withheld(name, p.New)
			found = append(found, p)
		}
	}
	return found
}

// valueAt returns the value at a path, or nil.
func valueAt(values map[string]any, text string) any {
	path, err := resource.ParsePropertyPath(text)
	if err != nil {
		return nil
	}
	var at any = values
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, ok := at.(map[string]any)
			if !ok {
				return nil
			}
			at = object[key]
		case int:
			list, ok := at.([]any)
			if !ok || key < 0 || key >= len(list) {
				return nil
			}
			at = list[key]
		}
	}
	return at
}

// secret stands for a secret value. The engine's events do not show whether two secret values
// differ, only that the provider says so.
const secret = "[secret]"

// readable returns the value as people read it: without the engine's marks for what is unknown or
// secret.
func readable(value any) any {
	switch v := value.(type) {
	case string:
		if v == unknown {
			return Unknown
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = readable(v[i])
		}
		return list
	case map[string]any:
		if v[sig.Key] == sig.Secret {
			return secret
		}
		object := make(map[string]any, len(v))
		for key := range v {
			object[key] = readable(v[key])
		}
		return object
	default:
		return v
	}
}

// Withheld replaces a text that is not marked as a secret, but has the name of one.
const Withheld = secretname.Withheld

// withheld returns a value without the texts whose names are those of secrets: a second line of
// defence after Pulumi's own marks.
func withheld(name string, value any) any {
	switch v := value.(type) {
	case string:
		if v != "" && v != secret && v != Unknown && secretname.Is(name) {
			return Withheld
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = withheld(name, v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for key := range v {
			object[key] = withheld(key, v[key])
		}
		return object
	default:
		return v
	}
}

func isUnknown(value any) bool { return value == Unknown }

// Project returns the collected changes, rated and sorted. The argument state has the resources
// that the stack has now: they say what depends on what.
func (c *Collector) Project(name string, state []apitype.ResourceV3) Project {
	p := Project{Name: name, Changes: mergeRenames(c.changes), Same: c.same, registered: c.registered}
	changed := map[string]bool{}
	for _, change := range p.Changes {
		changed[change.URN] = true
	}
	dependencies := map[string][]string{}
	for _, r := range state {
		for _, dependency := range r.Dependencies {
			if changed[string(dependency)] {
				dependencies[string(r.URN)] = append(dependencies[string(r.URN)], string(dependency))
			}
		}
	}
	for i := range p.Changes {
		change := &p.Changes[i]
		change.DependsOn = slices.Compact(slices.Sorted(slices.Values(dependencies[change.URN])))
		// A value that is unknown although none of its dependencies change was not known before
		// either.
		change.Follows = change.Follows && len(change.DependsOn) > 0
		rate(change, c.Refresh)
	}
	sortByWeight(p.Changes)
	return p
}

// oneLine writes a value as one text.
func oneLine(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		encoded, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(encoded)
	}
}
