package policy

import (
	"fmt"
	"strings"
)

// Error lists all violations of the guardrails in a stack that no waiver permits.
type Error struct {
	// Project and Stack name the stack, such as gridos-infra and dev.
	Project, Stack string
	// Violations are sorted by resource and rule.
	Violations []Violation
	// Unused are the waivers that permit nothing, each with why and what to do.
	Unused []string
}

// Error lists the violations, one a line for all resources that break a rule in the same way, and
// says how one is waived.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s departs from the organisation's guardrails (docs/policies.md) in %s", e.Project, e.Stack,
		counted(len(e.Violations)+len(e.Unused), "point"))
	alike := map[Violation][]string{} // without the resource → the resources
	for _, v := range e.Violations {
		key := Violation{Rule: v.Rule, Message: v.Message, Remedy: v.Remedy}
		alike[key] = append(alike[key], fmt.Sprintf("%s (%s)", v.Resource, v.Type))
	}
	for _, v := range e.Violations {
		key := Violation{Rule: v.Rule, Message: v.Message, Remedy: v.Remedy}
		resources, first := alike[key]
		if !first {
			continue
		}
		delete(alike, key)
		fmt.Fprintf(&b, "\n  %s: %s: %s; %s", v.Rule, strings.Join(resources, ", "), v.Message, v.Remedy)
		if !waivable(v.Rule, e.Stack) {
			fmt.Fprintf(&b, " [cannot be waived in %s]", e.Stack)
		}
	}
	for _, unused := range e.Unused {
		fmt.Fprintf(&b, "\n  %s:%s: %s", e.Project, waiversKey, unused)
	}
	for _, v := range e.Violations {
		if waivable(v.Rule, e.Stack) {
			fmt.Fprintf(&b, "\n  to waive one, add it to the list %s:%s in Pulumi.%s.yaml, like "+
				"{rule: %s, resource: %s, reason: <why, and until when>}", e.Project, waiversKey, e.Stack, v.Rule, v.Resource)
			break
		}
	}
	return b.String()
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
