package azure

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// check returns everything that is wrong with inputs by themselves, so that a preview refuses it.
func (c *Cloud) check(d *definition, before, inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	failures := checkSchema(inputs, d.inputs, d.required)
	if len(failures) > 0 {
		return failures // the rules below rely on the types
	}
	s := subject{definition: d, in: documentOf(inputs)}
	s.id, _ = d.path.expand(c.options.SubscriptionID, s.in)
	// The engine passes the old inputs of the same resource even where the new ones are going to replace it.
	if len(before) > 0 && !d.replaces(before, inputs) {
		s.before = documentOf(before)
	}
	// The engine asks a second time, without old inputs, about what it is going to replace: only then a creation is judged.
	if len(before) > 0 && d.settle != nil {
		s.in = d.settle(s.in)
	}
	violations := slices.Concat(s.checkName(), s.checkFrozen(), s.judge(d.checks))
	for _, v := range violations {
		failures = append(failures, failure(v.property, "%s: %s", s.label(), v.String()))
	}
	return failures
}

// replaces says whether the change makes azure-native replace the resource.
func (d *definition) replaces(before, after resource.PropertyMap) bool {
	diff, err := d.diff(before, after)
	return err == nil && len(diff.GetReplaces()) > 0
}

// diff compares inputs. azure-native deletes before it replaces, because names are explicit: the old and the new resource
// cannot exist together.
func (d *definition) diff(before, after resource.PropertyMap) (*pulumirpc.DiffResponse, error) {
	old, wanted := documentOf(before), documentOf(after)
	return providers.Diff(before, after, func(path resource.PropertyPath) bool {
		return d.mustReplace(path, old, wanted)
	}, true)
}

// checkName applies the rule for names.
func (s subject) checkName() []violation {
	parameter := s.path.nameParameter()
	name := s.in.text(parameter)
	if name == "" || s.in.unsure(parameter) {
		return nil
	}
	var violations []violation
	refuse := func(why string) {
		violations = append(violations, violation{
			rule: s.name.id, code: "InvalidResourceName", property: parameter,
			message: fmt.Sprintf("Resource name '%s' is invalid for %s: %s", name, s.kind, why),
		})
	}
	if s.name.pattern != nil && !s.name.pattern.MatchString(name) {
		refuse("use " + s.name.say)
	}
	if s.name.refuse != nil {
		if why := s.name.refuse(name); why != "" {
			refuse(why)
		}
	}
	return violations
}

// checkFrozen refuses changes that Azure does not make and azure-native does not replace for.
func (s subject) checkFrozen() []violation {
	if s.creating() {
		return nil
	}
	var violations []violation
	for _, path := range slices.Sorted(maps.Keys(s.frozen)) {
		before, after := s.before.at(path), s.in.at(path)
		// Left out and false are the same.
		if s.in.unsure(path) || reflect.DeepEqual(before, after) || !s.before.has(path) && after == false || before == false && !s.in.has(path) {
			continue
		}
		violations = append(violations, violation{
			code: "PropertyChangeNotAllowed", property: path,
			message: fmt.Sprintf("Changing property '%s' of '%s' is not allowed (from %v to %v): %s",
				path, s.label(), before, after, s.frozen[path]),
		})
	}
	return violations
}
