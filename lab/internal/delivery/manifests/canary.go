package manifests

import (
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"slices"
)

const canary = "spec.strategy.canary"

// checkCanary checks the objects to which the steps of a Rollout refer.
func (o overlay) checkCanary(owner typed[rolloutFields], r *report) {
	c := owner.is.Spec.Strategy.Canary
	for _, service := range []struct{ field, name string }{{"stableService", c.StableService}, {"canaryService", c.CanaryService}} {
		if _, ok := byName(o.services, service.name); !ok {
			r.add(owner.Object, canary+"."+service.field, "is the Service %q; %s", service.name, namesOf(o.services))
		}
	}
	const routing = canary + ".trafficRouting.istio.virtualService"
	target := c.TrafficRouting.Istio.VirtualService
	if routes, ok := byName(o.virtualServices, target.Name); !ok {
		r.add(owner.Object, routing+".name", "is the VirtualService %q; %s", target.Name, namesOf(o.virtualServices))
	} else {
		for _, wanted := range target.Routes {
			o.checkRoute(owner, routes, wanted, routing+".routes", r)
		}
	}
	for field, analysis := range owner.is.analyses() {
		for _, reference := range analysis.Templates {
			found, ok := byName(o.templates, reference.TemplateName)
			if !ok {
				r.add(owner.Object, field+".templates", "name the AnalysisTemplate %q; %s", reference.TemplateName, namesOf(o.templates))
				continue
			}
			checkArguments(owner, found, analysis.Args, field+".args", r)
		}
	}
	checkWindows(owner, r)
}

// analyses returns the analyses of a Rollout, by the fields that name them.
func (f rolloutFields) analyses() iter.Seq2[string, analysisUse] {
	return func(yield func(string, analysisUse) bool) {
		c := f.Spec.Strategy.Canary
		if c.Analysis != nil && !yield(canary+".analysis", *c.Analysis) {
			return
		}
		for i, step := range c.Steps {
			if step.Analysis != nil && !yield(fmt.Sprintf("%s.steps[%d].analysis", canary, i), *step.Analysis) {
				return
			}
		}
	}
}

// window is the argument of an analysis with the length of time that it looks back.
const window = "window"

// checkWindows compares the window of an analysis with the pause before it. A longer window
// includes time with another weight, and a shorter one leaves a part unjudged.
func checkWindows(owner typed[rolloutFields], r *report) {
	pause := ""
	for i, step := range owner.is.Spec.Strategy.Canary.Steps {
		switch {
		case step.Pause != nil:
			pause = step.Pause.Duration
		case step.Analysis != nil:
			for _, given := range step.Analysis.Args {
				if given.Name == window && (given.Value == nil || *given.Value != pause) {
					r.add(owner.Object, fmt.Sprintf("%s.steps[%d].analysis.args[%s]", canary, i, window),
						"must be %s, as long as the pause before", pause)
				}
			}
		}
	}
}

// checkRoute checks that the route that the Rollout weighs leads to its two Services.
func (o overlay) checkRoute(
	owner typed[rolloutFields], routes typed[virtualServiceFields], wanted, field string, r *report,
) {
	for _, route := range routes.is.Spec.HTTP {
		if route.Name != wanted {
			continue
		}
		var hosts []string
		for _, to := range route.Route {
			hosts = append(hosts, to.Destination.Host)
		}
		for _, service := range []string{owner.is.Spec.Strategy.Canary.StableService, owner.is.Spec.Strategy.Canary.CanaryService} {
			if !slices.Contains(hosts, service) {
				r.add(routes.Object, "spec.http["+wanted+"].route", "does not lead to the Service %s of the Rollout %s",
					service, owner.GetName())
			}
		}
		return
	}
	r.add(owner.Object, field, "name %q, which the VirtualService %s, in %s, does not have", wanted, routes.GetName(), routes.File)
}

// checkArguments compares the arguments that a template declares with those that it is given. An
// argument that only another template of the same step declares is no mistake.
func checkArguments(owner typed[rolloutFields], wants typed[analysisFields], given []argument, field string, r *report) {
	for _, want := range wants.is.Spec.Args {
		if want.Value == nil && !slices.ContainsFunc(given, func(a argument) bool { return a.Name == want.Name }) {
			r.add(owner.Object, field, "lack %s, which the AnalysisTemplate %s wants", want.Name, wants.GetName())
		}
	}
}

// placeholder matches a template's reference to one of its arguments.
var placeholder = regexp.MustCompile(`\{\{\s*args\.([^}\s]+)\s*\}\}`)

// checkTemplates checks that templates use the arguments that they declare, and no others.
func (o overlay) checkTemplates(r *report) {
	declaredSomewhere := map[string]bool{}
	for _, t := range o.templates {
		text, err := json.Marshal(t.is.Spec.Metrics)
		if err != nil {
			r.add(t.Object, "spec.metrics", "cannot be written as JSON: %v", err)
			continue
		}
		used := map[string]bool{}
		for _, match := range placeholder.FindAllStringSubmatch(string(text), -1) {
			used[match[1]] = true
			if !slices.ContainsFunc(t.is.Spec.Args, func(a argument) bool { return a.Name == match[1] }) {
				r.add(t.Object, "spec.metrics", "use args.%s, which spec.args do not declare", match[1])
			}
		}
		for _, declared := range t.is.Spec.Args {
			declaredSomewhere[declared.Name] = true
			if !used[declared.Name] {
				r.add(t.Object, "spec.args", "declare %s, which nothing uses", declared.Name)
			}
		}
	}
	for _, owner := range o.rollouts {
		for field, analysis := range owner.is.analyses() {
			for _, given := range analysis.Args {
				if !declaredSomewhere[given.Name] {
					r.add(owner.Object, field+".args", "give %s, which no AnalysisTemplate wants", given.Name)
				}
			}
		}
	}
}
