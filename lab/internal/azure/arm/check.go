package arm

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// check returns every mistake that the inputs have by themselves, so that a preview refuses them.
func (c *Cloud) check(d *Definition, before, inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	failures := checkSchema(inputs, d.Inputs, d.Required)
	if len(failures) > 0 {
		return failures // the rules below rely on the types
	}
	s := Subject{Definition: d, In: documentOf(inputs)}
	s.ID, _ = d.Path.Expand(c.options.SubscriptionID, s.In)
	// The engine passes the old inputs of the same resource even when the new ones will replace it.
	if len(before) > 0 && !d.replaces(before, inputs) {
		s.Before = documentOf(before)
	}
	// The engine asks a second time, without old inputs, about a resource that it will replace.
	// Only that second check judges a creation.
	if len(before) > 0 && d.Settle != nil {
		s.In = d.Settle(s.In)
	}
	violations := slices.Concat(s.checkName(), s.checkFrozen(), s.Judge(d.Checks), c.foresee(s))
	for _, v := range violations {
		failures = append(failures, failure(v.Property, "%s: %s", s.Label(), v.String()))
	}
	return failures
}

// foresee applies the rules about the future state of a live resource, which hold whatever else the
// update does.
func (c *Cloud) foresee(s Subject) []Violation {
	if s.Creating() || s.ID == "" || len(s.Standing) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Cloud = &View{c}
	if s.Cloud.Find(s.ID) == nil {
		return nil
	}
	return s.Judge(s.Standing)
}

// replaces says whether the change makes azure-native replace the resource.
func (d *Definition) replaces(before, after resource.PropertyMap) bool {
	diff, err := d.diff(before, after)
	return err == nil && len(diff.GetReplaces()) > 0
}

// diff compares inputs. azure-native deletes before it replaces, because names are explicit: the
// old and the new resource cannot exist together.
func (d *Definition) diff(before, after resource.PropertyMap) (*pulumirpc.DiffResponse, error) {
	old, wanted := documentOf(before), documentOf(after)
	return providers.Diff(before, after, func(path resource.PropertyPath) bool {
		return d.mustReplace(path, old, wanted)
	}, true)
}

// checkName applies the rule for names.
func (s Subject) checkName() []Violation {
	parameter := s.Path.nameParameter()
	name := s.In.Text(parameter)
	if name == "" || s.In.Unsure(parameter) {
		return nil
	}
	var violations []Violation
	refuse := func(why string) {
		violations = append(violations, Violation{
			Rule: s.Name.ID, Code: "InvalidResourceName", Property: parameter,
			Message: fmt.Sprintf("Resource name '%s' is invalid for %s: %s", name, s.Kind, why),
		})
	}
	if s.Name.Pattern != nil && !s.Name.Pattern.MatchString(name) {
		refuse("use " + s.Name.Say)
	}
	if s.Name.Refuse != nil {
		if why := s.Name.Refuse(name); why != "" {
			refuse(why)
		}
	}
	return violations
}

// checkFrozen refuses changes that Azure does not make and azure-native does not replace for.
func (s Subject) checkFrozen() []Violation {
	if s.Creating() {
		return nil
	}
	var violations []Violation
	for _, path := range slices.Sorted(maps.Keys(s.Frozen)) {
		before, after := s.Before.At(path), s.In.At(path)
		// A missing value and false are the same.
		if s.In.Unsure(path) || reflect.DeepEqual(before, after) || !s.Before.Has(path) && after == false || before == false && !s.In.Has(path) {
			continue
		}
		violations = append(violations, Violation{
			Code: "PropertyChangeNotAllowed", Property: path,
			Message: fmt.Sprintf("Changing property '%s' of '%s' is not allowed (from %v to %v): %s",
				path, s.Label(), before, after, s.Frozen[path]),
		})
	}
	return violations
}
