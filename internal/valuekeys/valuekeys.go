// Package valuekeys is for the tests of charts' values: Helm silently accepts a key that its chart
// does not know, so the tests compare the platform's values with the key paths of the chart's own
// default values.
//
// The paths of each pinned chart are test data, one a line and sorted, in a file that has the
// chart's version in its name. They are what Of yields for the output of `helm show values <chart>
// --version <version>`.
package valuekeys

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/internal/untyped"
)

// anything ends the path of an object that is empty by default: its keys are the user's to choose,
// such as annotations.
const anything = ".*"

// Of returns the paths of the leaves of values, sorted, with a dot between the keys. A list is a
// leaf.
func Of(values map[string]any) []string {
	paths := []string{}
	for key, value := range values {
		switch nested, isObject := value.(map[string]any); {
		case !isObject:
			paths = append(paths, key)
		case len(nested) == 0:
			paths = append(paths, key+anything)
		default:
			for _, path := range Of(nested) {
				paths = append(paths, key+"."+path)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// Unknown returns the paths of values, a struct with JSON names, that the chart whose paths are in
// file does not know.
func Unknown(values any, file string) ([]string, error) {
	plain, err := untyped.PlainOf(values)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for path := range strings.Lines(string(content)) {
		known[strings.TrimSpace(path)] = true
	}
	free := slices.DeleteFunc(slices.Collect(maps.Keys(known)), func(path string) bool { return !strings.HasSuffix(path, anything) })
	return slices.DeleteFunc(Of(plain), func(path string) bool {
		return known[path] || slices.ContainsFunc(free, func(f string) bool {
			return strings.HasPrefix(path, strings.TrimSuffix(f, "*"))
		})
	}), nil
}
