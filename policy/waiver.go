package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/internal/config"
)

// waiversKey is the key of every project under which violations are waived.
const waiversKey = "policyWaivers"

// shortestReason is how many characters the reason of a waiver has at least: enough for a sentence,
// or the number of a ticket.
const shortestReason = 10

// Waiver permits one resource to break one rule.
type Waiver struct {
	// Rule is the rule's id.
	Rule string `json:"rule"`
	// Resource is the logical name of the resource.
	Resource string `json:"resource"`
	// Reason is why, at least ten characters; it is repeated at every update.
	Reason string `json:"reason"`
}

// Settings is how a stack departs from the guardrails.
type Settings struct {
	// Waivers has at most one entry for a rule and a resource.
	Waivers []Waiver
}

// Load reads Settings for environment, recording mistakes in r. Only after the program has run is
// it known whether a waiver is used: Guard reports unused ones.
func Load(r *config.Reader, environment string) Settings {
	s := Settings{Waivers: config.Decode(r, waiversKey, []Waiver{})}
	seen := map[Waiver]bool{}
	for _, w := range s.Waivers {
		r.Check(waiversKey, w.check(environment))
		key := Waiver{Rule: w.Rule, Resource: w.Resource}
		if seen[key] {
			r.Check(waiversKey, fmt.Errorf("waives %s of %q twice; keep one of the two", w.Rule, w.Resource))
		}
		seen[key] = true
	}
	return s
}

func (w Waiver) check(environment string) error {
	i := slices.IndexFunc(rules(), func(r rule) bool { return r.id == w.Rule })
	switch {
	case i < 0:
		return fmt.Errorf("%q is not a rule; use one of %s", w.Rule, strings.Join(Rules(), ", "))
	case w.Resource == "":
		return fmt.Errorf("the waiver of %s names no resource; write the logical name that the violation shows", w.Rule)
	case len(strings.TrimSpace(w.Reason)) < shortestReason:
		return fmt.Errorf("the waiver of %s for %q gives no reason; write one of %d characters or more",
			w.Rule, w.Resource, shortestReason)
	case !waivable(w.Rule, environment):
		return fmt.Errorf("%s cannot be waived in %s, only in %s; remove the waiver for %q",
			w.Rule, environment, strings.Join(rules()[i].waivableIn, ", "), w.Resource)
	default:
		return nil
	}
}

// waivable reports whether the rule with the given id may be waived in environment.
func waivable(id, environment string) bool {
	for _, r := range rules() {
		if r.id == id {
			return len(r.waivableIn) == 0 || slices.Contains(r.waivableIn, environment)
		}
	}
	return false
}
