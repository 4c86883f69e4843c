package rendered

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Object is one object of a side, without its noise.
type Object struct {
	unstructured.Unstructured
	// Hook says that Helm or Argo CD makes the object for one update and deletes an earlier one
	// first.
	Hook bool
	// CRDFolder says that the object is from the folder crds of a chart, which Helm reads at the
	// installation only.
	CRDFolder bool
}

// identity tells two objects of one side apart. It has no version: the objects of all versions of
// an API group are the same.
type identity struct{ group, kind, namespace, name string }

func (o Object) identity() identity {
	return identity{o.GroupVersionKind().Group, o.GetKind(), o.GetNamespace(), o.GetName()}
}

// decode reads objects from YAML. An object of the namespace that everything is installed into has
// no namespace afterwards, because templates may or may not write it.
func decode(text []byte, namespace string) ([]Object, error) {
	var objects []Object
	documents := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		var fields map[string]any
		if err := yaml.Unmarshal(document, &fields); err != nil {
			return nil, err
		}
		if len(fields) == 0 {
			continue // comments alone
		}
		o := Object{Unstructured: unstructured.Unstructured{Object: fields}}
		if o.IsList() {
			items, err := list(fields)
			if err != nil {
				return nil, err
			}
			for _, item := range items {
				objects = append(objects, cleaned(item, namespace))
			}
			continue
		}
		if o.GetKind() == "" || o.GetAPIVersion() == "" {
			return nil, fmt.Errorf("a document is no object of Kubernetes: it has no kind or no apiVersion: %.60q", document)
		}
		objects = append(objects, cleaned(o, namespace))
	}
}

func list(fields map[string]any) ([]Object, error) {
	items, _, err := unstructured.NestedSlice(fields, "items")
	if err != nil {
		return nil, err
	}
	var objects []Object
	for _, item := range items {
		fields, ok := item.(map[string]any)
		if !ok {
			return nil, errors.New("an item of a List is no object")
		}
		objects = append(objects, Object{Unstructured: unstructured.Unstructured{Object: fields}})
	}
	return objects, nil
}

// testHook is the hook of Helm that runs only when people test a release.
var testHook = regexp.MustCompile(`^\s*test(-success|-failure)?\s*$`)

// cleaned removes the noise of an object.
func cleaned(o Object, namespace string) Object {
	annotations := o.GetAnnotations()
	o.Hook = annotations["helm.sh/hook"] != "" || annotations["argocd.argoproj.io/hook"] != ""
	if o.GetNamespace() == namespace {
		o.SetNamespace("")
	}
	delete(o.Object, "status")
	template, isJob := at(o, "spec.template"), o.GetKind() == "Job" && !o.Hook
	o.Object, _ = withoutNoise(o.Object).(map[string]any)
	if spec, ok := o.Object["spec"].(map[string]any); ok && isJob && template != nil {
		spec["template"] = template // a Job refuses every change of it, and be it a label
	}
	return o
}

// chartsVersion are labels that differ in every version of a chart and change nothing. They are
// noise in labels, and not in a selector.
var chartsVersion = []string{"helm.sh/chart", "app.kubernetes.io/version", "chart"}

// withoutNoise returns a value without fields that are null, the labels of the chart's version, and
// checksums. A checksum restarts pods when something else has changed, which is in the report for
// itself. A StatefulSet refuses every change of its claims, and be it a label.
func withoutNoise(value any) any {
	switch v := value.(type) {
	case map[string]any:
		kept := make(map[string]any, len(v))
		for key, nested := range v {
			if nested == nil {
				continue
			}
			if key == "volumeClaimTemplates" {
				kept[key] = nested
				continue
			}
			texts, ok := nested.(map[string]any)
			if ok && (key == "labels" || key == "annotations") {
				texts = maps.Clone(texts)
				maps.DeleteFunc(texts, func(name string, _ any) bool {
					if key == "annotations" {
						return strings.Contains(name, "checksum")
					}
					return slices.Contains(chartsVersion, name)
				})
				if len(texts) == 0 {
					continue
				}
				nested = texts
			}
			kept[key] = withoutNoise(nested)
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = withoutNoise(v[i])
		}
		return kept
	default:
		return v
	}
}

// random stands for a value that a chart makes by chance.
const random = "(random)"

// masked returns the objects of a rendering with everything replaced that a second rendering of the
// same side made differently.
func masked(once, twice []Object) []Object {
	again := make(map[identity]Object, len(twice))
	for _, o := range twice {
		again[o.identity()] = o
	}
	seen := make(map[identity]bool, len(once))
	for _, o := range once {
		seen[o.identity()] = true
	}
	named := map[string][]Object{} // by chance, in the second rendering
	for _, o := range twice {
		if !seen[o.identity()] {
			named[o.GetKind()] = append(named[o.GetKind()], o)
		}
	}
	result := make([]Object, 0, len(once))
	count := map[string]int{}
	for _, o := range once {
		other, ok := again[o.identity()]
		if !ok {
			kind := o.GetKind()
			if count[kind] < len(named[kind]) {
				other, ok = named[kind][count[kind]], true
			}
			count[kind]++
		}
		if ok {
			o.Object, _ = mask(o.Object, other.Object).(map[string]any)
		}
		if !ok || o.GetName() == random {
			o.SetName(fmt.Sprintf("%s %d", random, count[o.GetKind()]))
		}
		result = append(result, o)
	}
	return result
}

func mask(once, twice any) any {
	switch v := once.(type) {
	case map[string]any:
		other, ok := twice.(map[string]any)
		if !ok {
			return random
		}
		result := make(map[string]any, len(v))
		for key := range v {
			result[key] = mask(v[key], other[key])
		}
		return result
	case []any:
		other, ok := twice.([]any)
		if !ok || len(other) != len(v) {
			return random
		}
		result := make([]any, len(v))
		for i := range v {
			result[i] = mask(v[i], other[i])
		}
		return result
	case string:
		other, ok := twice.(string)
		if !ok {
			return random
		}
		return maskText(v, other)
	default:
		if !reflect.DeepEqual(once, twice) {
			return random
		}
		return v
	}
}

// maskText masks the lines of a text that differ, or all of it.
func maskText(once, twice string) string {
	if once == twice {
		return once
	}
	lines, others := strings.Split(once, "\n"), strings.Split(twice, "\n")
	if len(lines) == 1 || len(lines) != len(others) {
		return random
	}
	for i := range lines {
		if lines[i] != others[i] {
			lines[i] = random
		}
	}
	return strings.Join(lines, "\n")
}
