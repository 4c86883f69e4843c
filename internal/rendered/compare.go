package rendered

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/internal/secretname"
)

// Op is what happens to an object.
type Op string

// The operations.
const (
	Create Op = "create"
	Update Op = "update"
	Delete Op = "delete"
)

// Ops returns the operations in the order in which reports count them.
func Ops() []Op { return []Op{Create, Update, Delete} }

// Change is what happens to one object.
type Change struct {
	Op         Op     `json:"op"`
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Namespace is empty for an object without one, and for one of the namespace that everything is
	// installed into.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Fields are those that differ, sorted by path. What is created or deleted has none.
	Fields []Field `json:"fields,omitempty"`
	// Risk is what the change does to a running cluster, and Reasons say why.
	Risk    Risk     `json:"risk"`
	Reasons []string `json:"reasons,omitempty"`
}

// Field is one field that differs. The value of a secret is "[secret]" or secretname.Withheld.
type Field struct {
	// Path is the field's. An element of a list with names is called by its name, as in
	// spec.containers[web].image.
	Path string `json:"path"`
	// Old and New are its values as JSON has them; nil means that there is none. Of a text with
	// several lines they have the lines that differ.
	Old any `json:"old,omitempty"`
	New any `json:"new,omitempty"`
}

// Title names the object for people.
func (c Change) Title() string {
	if c.Namespace != "" {
		return c.Kind + " " + c.Namespace + "/" + c.Name
	}
	return c.Kind + " " + c.Name
}

// Compare returns what happens to the objects of a side when those of another replace them: what is
// dangerous first. Both sides are without noise, as Charts.Render and Overlay return them. Fields
// whose new value has the text unknown in it are left out: they are known only after the update.
func Compare(before, after []Object, unknown string) []Change {
	old, made := byIdentity(before), byIdentity(after)
	all := maps.Clone(old)
	maps.Copy(all, made)
	var changes []Change
	for id := range all {
		was, hadIt := old[id]
		is, hasIt := made[id]
		c := Change{Op: Update, APIVersion: is.GetAPIVersion(), Kind: id.kind, Namespace: id.namespace, Name: id.name, Risk: Plain}
		switch {
		case !hadIt:
			c.Op = Create
		case !hasIt:
			c.Op, c.APIVersion = Delete, was.GetAPIVersion()
		default:
			c.Fields = fieldsOf(was, is, unknown)
			if len(c.Fields) == 0 {
				continue
			}
		}
		rating{&c, was, is, after, len(before) == 0}.rate()
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Risks(), a.Risk), slices.Index(Risks(), b.Risk)),
			-cmp.Compare(slices.Index(Ops(), a.Op), slices.Index(Ops(), b.Op)),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.APIVersion, b.APIVersion),
		)
	})
	return changes
}

func byIdentity(objects []Object) map[identity]Object {
	result := make(map[identity]Object, len(objects))
	for _, o := range objects {
		result[o.identity()] = o
	}
	return result
}

// fieldsOf returns the differences of two states of an object.
func fieldsOf(was, is Object, unknown string) []Field {
	d := differ{unknown: unknown, secret: is.GetKind() == "Secret" && is.GroupVersionKind().Group == ""}
	d.walk("", "", was.Object, is.Object)
	slices.SortFunc(d.fields, func(a, b Field) int { return cmp.Compare(a.Path, b.Path) })
	return d.fields
}

type differ struct {
	unknown string
	secret  bool
	fields  []Field
}

// walk compares two values at a path. name is what the value is called, by which a secret is
// recognized.
func (d *differ) walk(path, name string, old, made any) {
	if reflect.DeepEqual(old, made) {
		return
	}
	was, wasObject := old.(map[string]any)
	is, isObject := made.(map[string]any)
	if wasObject && isObject {
		d.walkObject(path, was, is)
		return
	}
	oldList, wasList := old.([]any)
	newList, isList := made.([]any)
	if wasList && isList {
		oldNames, oldOK := byName(oldList)
		newNames, newOK := byName(newList)
		if oldOK && newOK {
			d.walkNamed(path, oldNames, newNames)
			if order := orderOf(oldList, newList); strings.HasSuffix(path, "initContainers") && order != nil {
				d.fields = append(d.fields, *order)
			}
			return
		}
	}
	d.add(path, name, old, made)
}

func (d *differ) walkObject(path string, was, is map[string]any) {
	all := maps.Clone(was)
	maps.Copy(all, is)
	// The value of an environment variable is called as the variable is.
	title, _ := is["name"].(string)
	for key := range all {
		called := key
		if key == "value" && title != "" {
			called = title
		}
		d.walk(join(path, key), called, was[key], is[key])
	}
}

func (d *differ) walkNamed(path string, was, is map[string]any) {
	all := maps.Clone(was)
	maps.Copy(all, is)
	for name := range all {
		d.walk(fmt.Sprintf("%s[%s]", path, name), name, was[name], is[name])
	}
}

// join adds a key to a path. A key with a dot in it stands in brackets.
func join(path, key string) string {
	switch {
	case strings.ContainsAny(key, "./"):
		return path + "[" + key + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// byName returns the elements of a list by their names, if each has one of its own.
func byName(list []any) (map[string]any, bool) {
	named := make(map[string]any, len(list))
	for _, element := range list {
		object, ok := element.(map[string]any)
		if !ok {
			return nil, false
		}
		name, ok := object["name"].(string)
		if _, twice := named[name]; !ok || twice {
			return nil, false
		}
		named[name] = element
	}
	return named, true
}

// orderOf returns the difference in the order of two lists of objects with the same names.
func orderOf(old, made []any) *Field {
	names := func(list []any) []string {
		var names []string
		for _, element := range list {
			object, _ := element.(map[string]any)
			name, _ := object["name"].(string)
			names = append(names, name)
		}
		return names
	}
	was, is := names(old), names(made)
	if slices.Equal(was, is) || !slices.Equal(slices.Sorted(slices.Values(was)), slices.Sorted(slices.Values(is))) {
		return nil
	}
	return &Field{Path: "initContainers (order)", Old: strings.Join(was, ", "), New: strings.Join(is, ", ")}
}

func (d *differ) add(path, name string, old, made any) {
	if d.unknown != "" && mentions(made, d.unknown) {
		return
	}
	if was, ok := old.(string); ok && strings.Contains(was, "\n") {
		if is, ok := made.(string); ok {
			if lines := linesOf(was, is); lines != (Field{}) {
				old, made = lines.Old, lines.New
			}
		}
	}
	inSecret := d.secret && (strings.HasPrefix(path, "data") || strings.HasPrefix(path, "stringData"))
	d.fields = append(d.fields, Field{Path: path, Old: shown(name, old, inSecret), New: shown(name, made, inSecret)})
}

// mentions reports whether a value has a text in it.
func mentions(value any, text string) bool {
	switch v := value.(type) {
	case string:
		return strings.Contains(v, text)
	case []any:
		return slices.ContainsFunc(v, func(nested any) bool { return mentions(nested, text) })
	case map[string]any:
		for _, nested := range v {
			if mentions(nested, text) {
				return true
			}
		}
	}
	return false
}

// linesOf returns the lines that only one of two texts has.
func linesOf(old, made string) Field {
	count := map[string]int{}
	for line := range strings.SplitSeq(old, "\n") {
		count[line]++
	}
	var added []string
	for line := range strings.SplitSeq(made, "\n") {
		if count[line] == 0 {
			added = append(added, line)
		} else {
			count[line]--
		}
	}
	var removed []string
	for line := range strings.SplitSeq(old, "\n") {
		if count[line] > 0 {
			removed = append(removed, line)
			count[line]--
		}
	}
	var f Field
	if len(removed) > 0 {
		f.Old = strings.Join(removed, "\n")
	}
	if len(added) > 0 {
		f.New = strings.Join(added, "\n")
	}
	return f
}

// secret stands for the value of a Secret.
const secret = "[secret]"

// shown returns a value as a report may show it.
func shown(name string, value any, inSecret bool) any {
	switch v := value.(type) {
	case nil:
		return nil
	case map[string]any:
		title, _ := v["name"].(string)
		result := make(map[string]any, len(v))
		for key := range v {
			called := key
			if key == "value" && title != "" {
				called = title
			}
			result[key] = shown(called, v[key], inSecret)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i := range v {
			result[i] = shown(name, v[i], inSecret)
		}
		return result
	case string:
		switch {
		case inSecret:
			return secret
		case v != "" && secretname.Is(name):
			return secretname.Withheld
		default:
			return secretname.Scrub(v)
		}
	default:
		if inSecret {
			return secret
		}
		return v
	}
}
