package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// enforcement collects the resources that a running program registers, and judges them.
type enforcement struct {
	project, stack string
	settings       Settings
	// refusing makes see refuse a resource as soon as it breaks a rule.
	refusing bool

	mu         sync.Mutex
	resources  map[string]Resource // by URN
	violations []Violation         // of the rules that see one resource
	judged     bool                // the verdict is out
}

// see judges one resource. Its error, if any, is why the resource must not be registered.
func (e *enforcement) see(r Resource) error {
	found := Check(r, e.stack)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resources == nil {
		e.resources = map[string]Resource{}
	}
	e.resources[r.URN] = r
	e.violations = append(e.violations, found...)
	if !e.refusing && !e.judged {
		return nil
	}
	report := &Error{Project: e.project, Stack: e.stack}
	var broken []string
	for _, v := range found {
		if _, waived := e.waiver(v); !waived {
			report.Violations = append(report.Violations, v)
			broken = append(broken, v.Rule)
		}
	}
	switch {
	case len(broken) == 0:
		return nil
	case e.judged:
		return report
	default: // the verdict has the details, with those of all other resources
		return fmt.Errorf("%s is not registered, because it breaks the guardrails %s", r.Name,
			strings.Join(slices.Compact(broken), ", "))
	}
}

// verdict judges everything that see has seen; afterwards see refuses each further resource that
// breaks a rule. complete says that the program has registered all its resources: only then can
// verdict report missing ones. preview says that values may be unknown. The warnings are the
// waivers that were used, by resource and rule; the error is nil or an *Error.
func (e *enforcement) verdict(complete, preview bool) (warnings []string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.judged = true
	all := slices.Clone(e.violations)
	if complete {
		all = append(all, CheckStack(slices.Collect(maps.Values(e.resources)))...)
	}
	report := &Error{Project: e.project, Stack: e.stack}
	used := map[Waiver]bool{}
	for _, v := range sorted(all) {
		w, waived := e.waiver(v)
		if !waived {
			report.Violations = append(report.Violations, v)
			continue
		}
		used[w] = true
		warnings = append(warnings, fmt.Sprintf("the guardrail %s is waived for %s (%s): %s", v.Rule, v.Resource, v.Message, w.Reason))
	}
	if complete {
		for _, w := range e.settings.Waivers {
			if !used[w] {
				report.Unused = append(report.Unused, e.unused(w, preview)...)
			}
		}
	}
	if len(report.Violations)+len(report.Unused) > 0 {
		return warnings, report
	}
	return warnings, nil
}

func (e *enforcement) waiver(v Violation) (Waiver, bool) {
	i := slices.IndexFunc(e.settings.Waivers, func(w Waiver) bool { return w.Rule == v.Rule && w.Resource == v.Resource })
	if i < 0 {
		return Waiver{}, false
	}
	return e.settings.Waivers[i], true
}

// unused explains why a waiver permitted nothing. At a preview, a resource with unknown values may
// yet break the rule during the update.
func (e *enforcement) unused(w Waiver, preview bool) []string {
	exists, undecided := false, false
	for _, r := range e.resources {
		if r.Name == w.Resource {
			exists = true
			undecided = undecided || preview && r.Properties.ContainsUnknowns()
		}
	}
	switch {
	case !exists:
		return []string{fmt.Sprintf("waives %s for %q, but there is no such resource; correct the name or remove the waiver",
			w.Rule, w.Resource)}
	case undecided:
		return nil
	default:
		return []string{fmt.Sprintf("waives %s for %q, which keeps to it; remove the waiver", w.Rule, w.Resource)}
	}
}
