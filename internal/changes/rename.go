package changes

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
)

// fewDiffer is how many values of two resources may differ for one to pass for the other under a
// new name: the name itself, and a value that is derived from it.
const fewDiffer = 2

// mergeRenames makes one change out of each pair of a deletion and a creation that are the same
// resource under another name. The program has renamed it, perhaps by accident; the engine can only
// delete the one and create the other.
func mergeRenames(changes []Change) []Change {
	var merged []Change
	taken := map[int]bool{}
	for i, gone := range changes {
		if gone.Op != Delete {
			continue
		}
		for j, made := range changes {
			if made.Op != Create || made.Type != gone.Type || made.Component != gone.Component || taken[j] {
				continue
			}
			properties, same := compare(gone.inputs, made.inputs)
			if len(properties) > fewDiffer || same <= len(properties) {
				continue
			}
			made.Op, made.Was, made.Properties = Replace, gone.URN, properties
			merged = append(merged, made)
			taken[i], taken[j] = true, true
			break
		}
	}
	for i, c := range changes {
		if !taken[i] {
			merged = append(merged, c)
		}
	}
	return merged
}

// compare returns the differences of two resources' inputs, and how many of their values are the
// same.
func compare(old, made map[string]any) (differ []Property, same int) {
	before, after := leaves(old), leaves(made)
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	for path := range paths {
		if reflect.DeepEqual(before[path], after[path]) {
			same++
		} else {
			differ = append(differ, Property{Path: path, Old: readable(before[path]), New: readable(after[path])})
		}
	}
	slices.SortFunc(differ, func(a, b Property) int { return cmp.Compare(a.Path, b.Path) })
	return differ, same
}

// leaves returns the values of an object that are no objects, by their paths; a list is a leaf.
func leaves(object map[string]any) map[string]any {
	found := map[string]any{}
	for key, value := range object {
		nested, ok := value.(map[string]any)
		if !ok {
			found[key] = value
			continue
		}
		for path, leaf := range leaves(nested) {
			found[key+"."+path] = leaf
		}
	}
	return found
}
