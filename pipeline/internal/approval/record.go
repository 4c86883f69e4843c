package approval

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
)

// Key makes the codes of values. Each plan has its own.
type Key []byte

// NewKey returns a random key.
func NewKey() Key {
	key := make(Key, sha256.Size)
	_, _ = rand.Read(key) // never fails (crypto/rand, Read)
	return key
}

// String returns the key as text, to be sealed.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k) }

// ParseKey returns the key of a text that String has made.
func ParseKey(text string) (Key, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("the plan's key does not have %d bytes; plan again", sha256.Size)
	}
	return key, nil
}

// value is the code of a value at one place: the HMAC of both, so that equal values at two places
// have different codes.
func (k Key) value(urn, path string, v any) (Value, error) {
	text, err := json.Marshal([]any{urn, path, v}) // which sorts the keys of objects
	if err != nil {
		return "", fmt.Errorf("encode %s of %s: %w", path, urn, err)
	}
	mac := hmac.New(sha256.New, k)
	mac.Write(text)
	return Value(hex.EncodeToString(mac.Sum(nil))), nil
}

// Recorder makes a Stack out of the events of a preview.
type Recorder struct {
	// Key is the plan's.
	Key Key

	entries   []Entry
	providers []Provider
	outputs   map[string]any
	complete  bool
	err       error
}

// See records one event of the engine. Call it for all of them, one after the other.
func (r *Recorder) See(event apitype.EngineEvent) {
	switch {
	case event.ResourcePreEvent != nil:
		r.step(event.ResourcePreEvent.Metadata)
	case event.ResOutputsEvent != nil:
		if m := event.ResOutputsEvent.Metadata; m.Type == string(resource.RootStackType) && m.New != nil {
			r.outputs = m.New.Outputs
		}
	case event.SummaryEvent != nil: // the last one
		r.complete = true
	}
}

// Stack returns what was recorded. The error says that the events were not those of a whole
// preview.
func (r *Recorder) Stack(project string) (Stack, error) {
	if !r.complete {
		return Stack{}, fmt.Errorf("the preview of %s did not come to its end, so that not all that an update would do is known", project)
	}
	slices.SortFunc(r.entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.URN, b.URN), cmp.Compare(a.Operation, b.Operation))
	})
	slices.SortFunc(r.providers, func(a, b Provider) int { return cmp.Compare(a.URN, b.URN) })
	return Stack{Project: project, Providers: r.providers, Entries: r.entries}, r.err
}

// Outputs returns what the stack would export: the known values, and the names of all outputs. A
// secret is not a known value.
func (r *Recorder) Outputs() (known map[string]any, names []string) {
	known = map[string]any{}
	for name, value := range r.outputs {
		leaves := map[string]any{}
		flatten(leaves, nil, value)
		settled := true
		for _, leaf := range leaves {
			settled = settled && leaf != Secret && leaf != Unknown
		}
		if settled {
			known[name] = value
		}
	}
	return known, slices.Sorted(maps.Keys(r.outputs))
}

const (
	providerType = "pulumi:providers:"
	// The paths that stand for options: no input of a resource begins with a bracket.
	optionProtect = "[protect]"
	optionRetain  = "[retainOnDelete]"
)

func (r *Recorder) step(step apitype.StepEventMetadata) {
	if strings.HasPrefix(step.Type, providerType) && step.New != nil {
		version, _ := step.New.Inputs["version"].(string)
		r.providers = slices.DeleteFunc(r.providers, func(p Provider) bool { return p.URN == step.URN }) // a replacement is three steps
		r.providers = append(r.providers, Provider{step.URN, version, r.inputs(step.URN, step.New.Inputs)})
	}
	entry := Entry{URN: step.URN, Operation: string(step.Op)}
	if step.New != nil {
		entry.Provider = withoutID(step.New.Provider)
	}
	switch step.Op {
	case apitype.OpCreate, apitype.OpImport:
		if step.New != nil {
			entry.Properties = r.inputs(step.URN, step.New.Inputs)
		}
	case apitype.OpUpdate, apitype.OpReplace, apitype.OpImportReplacement:
		entry.Properties = append(r.options(step), r.differences(step)...)
	case apitype.OpDelete, apitype.OpDeleteReplaced:
	case apitype.OpSame: // to the engine, options are no change
		if entry.Properties = r.options(step); len(entry.Properties) == 0 {
			return
		}
		entry.Operation = string(apitype.OpUpdate)
	default: // the parts of a replacement, and steps that only read or forget
		return
	}
	r.entries = append(r.entries, entry)
}

// withoutID returns the URN in a reference to a provider: its id is unknown until the provider is
// there.
func withoutID(reference string) string {
	if at := strings.LastIndex(reference, "::"); at >= 0 {
		return reference[:at]
	}
	return reference
}

// inputs are all inputs of a resource.
func (r *Recorder) inputs(urn string, inputs map[string]any) []Property {
	var found []Property
	leaves := map[string]any{}
	flatten(leaves, nil, inputs)
	for _, path := range slices.Sorted(maps.Keys(leaves)) {
		found = append(found, Property{Path: path, New: r.code(urn, path, leaves[path])})
	}
	return found
}

func (r *Recorder) options(step apitype.StepEventMetadata) []Property {
	if step.Old == nil || step.New == nil {
		return nil
	}
	var found []Property
	add := func(path string, old, made bool) {
		if old != made {
			found = append(found, Property{Path: path, Old: r.code(step.URN, path, old), New: r.code(step.URN, path, made)})
		}
	}
	add(optionProtect, step.Old.Protect, step.New.Protect)
	add(optionRetain, step.Old.RetainOnDelete, step.New.RetainOnDelete)
	return found
}

// differences are the inputs that differ, and what else the provider says differs.
func (r *Recorder) differences(step apitype.StepEventMetadata) []Property {
	if step.Old == nil || step.New == nil {
		return nil
	}
	before, after := map[string]any{}, map[string]any{}
	flatten(before, nil, step.Old.Inputs)
	flatten(after, nil, step.New.Inputs)
	found := map[string]Property{}
	add := func(path string, before, after map[string]any) {
		found[path] = Property{Path: path, Old: r.code(step.URN, path, before[path]), New: r.code(step.URN, path, after[path])}
	}
	for path := range union(before, after) {
		if r.code(step.URN, path, before[path]) != r.code(step.URN, path, after[path]) {
			add(path, before, after)
		}
	}
	for _, diff := range diffs(step) {
		said := false
		for path := range found {
			said = said || related(path, diff.path)
		}
		if !said { // a secret, or what the provider answered
			was, is := map[string]any{}, map[string]any{}
			if diff.input {
				at(was, step.Old.Inputs, diff.path)
			} else {
				at(was, step.Old.Outputs, diff.path)
			}
			at(is, step.New.Inputs, diff.path)
			for path := range union(was, is) {
				add(path, was, is)
			}
			if len(was)+len(is) == 0 {
				add(diff.path, nil, nil)
			}
		}
		for path, p := range found {
			if diff.replaces && related(path, diff.path) {
				p.Replaces = true
				found[path] = p
			}
		}
	}
	var sorted []Property
	for _, path := range slices.Sorted(maps.Keys(found)) {
		sorted = append(sorted, found[path])
	}
	return sorted
}

// diff is a difference as the provider reports it.
type diff struct {
	path            string
	replaces, input bool
}

func diffs(step apitype.StepEventMetadata) []diff {
	var found []diff
	for path, d := range step.DetailedDiff {
		found = append(found, diff{normal(path), strings.HasSuffix(string(d.Kind), "-replace"), d.InputDiff})
	}
	for _, key := range step.Diffs {
		found = append(found, diff{normal(key), false, true})
	}
	for _, key := range step.Keys {
		found = append(found, diff{normal(key), true, true})
	}
	slices.SortFunc(found, func(a, b diff) int { return cmp.Compare(a.path, b.path) })
	// A list of properties repeats, in less detail, what the detailed differences say.
	return slices.DeleteFunc(found, func(d diff) bool {
		return !d.replaces && slices.ContainsFunc(found, func(o diff) bool { return o.path != d.path && beneath(o.path, d.path) })
	})
}

// normal writes a path as flatten does.
func normal(path string) string {
	if parsed, err := resource.ParsePropertyPath(path); err == nil {
		return parsed.String()
	}
	return path
}

// related reports whether one path is the other, or a part of it.
func related(a, b string) bool { return beneath(a, b) || beneath(b, a) }

// beneath reports whether a path is another, or a part of it.
func beneath(path, of string) bool {
	rest, ok := strings.CutPrefix(path, of)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func union(a, b map[string]any) map[string]bool {
	paths := map[string]bool{}
	for path := range a {
		paths[path] = true
	}
	for path := range b {
		paths[path] = true
	}
	return paths
}

// at flattens what is at a path.
func at(leaves, values map[string]any, text string) {
	all := map[string]any{}
	flatten(all, nil, values)
	for path, leaf := range all {
		if related(path, text) {
			leaves[path] = leaf
		}
	}
}

// flatten notes the values beneath a value by their paths: all but objects and lists, unless they
// are empty. Secret and Unknown stand for secret and unknown values.
func flatten(leaves map[string]any, path resource.PropertyPath, value any) {
	switch v := value.(type) {
	case map[string]any:
		kind, special := v[sig.Key].(string)
		switch {
		case kind == sig.Secret:
			leaves[path.String()] = Secret
		case special || len(v) == 0 && len(path) > 0: // a file, or a reference to a resource, is one value
			leaves[path.String()] = v
		default:
			for key, item := range v {
				flatten(leaves, append(slices.Clone(path), key), item)
			}
		}
	case []any:
		if len(v) == 0 {
			leaves[path.String()] = v
		}
		for i, item := range v {
			flatten(leaves, append(slices.Clone(path), i), item)
		}
	case string:
		switch {
		case v == plugin.UnknownStringValue: // so the engine's events write it
			leaves[path.String()] = Unknown
		case strings.Contains(v, hidden): // a text that has a secret in it
			leaves[path.String()] = Secret
		default:
			leaves[path.String()] = v
		}
	default:
		leaves[path.String()] = v
	}
}

// hidden is what the engine's events have in place of a secret.
const hidden = "[secret]"

// code returns what the plan says in place of a value.
func (r *Recorder) code(urn, path string, leaf any) Value {
	switch v := leaf.(type) {
	case nil:
		return ""
	case Value:
		return v
	default:
		code, err := r.Key.value(urn, path, v)
		if err != nil && r.err == nil {
			r.err = err
		}
		return code
	}
}
