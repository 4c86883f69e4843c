// Package changes reports what an update would do to an environment, so that people can decide on
// it: which resources would be created, updated, replaced or deleted, and which of that is
// dangerous or costs money.
//
// A Collector makes the report out of the engine's events, wherever the engine runs; a Report is
// written as text, as Markdown or, because it is plain data, as JSON.
package changes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/rendered"
	"github.com/gridos/sharedinfra/stacks/contract"
)

// Op is what an update would do with a resource.
type Op string

// The operations that change something.
const (
	Create  Op = "create"
	Update  Op = "update"
	Replace Op = "replace"
	Delete  Op = "delete"
)

// Ops returns the operations in the order in which reports count them.
func Ops() []Op { return []Op{Create, Update, Replace, Delete} }

// Report is what an update would do to one environment.
type Report struct {
	// Environment is dev, test or prod.
	Environment string `json:"environment"`
	// Base is the other side of the comparison: the commit that the lab brought up, or empty for
	// the environment as it is deployed.
	Base string `json:"base,omitempty"`
	// ManifestsAlone says that no stack was previewed: the change has nothing that Pulumi reads.
	ManifestsAlone bool `json:"manifestsAlone,omitempty"`
	// Drift says that the changes have been made already, by others than Pulumi.
	Drift bool `json:"drift,omitempty"`
	// Projects are in the order in which they go up.
	Projects []Project `json:"projects"`
	// Cost is what the environment costs a month; nil if nothing of it was priced.
	Cost *Cost `json:"cost,omitempty"`
	// Support is which of the environment's versions end soon; nil if none does, as far as is known.
	Support *Support `json:"support,omitempty"`
	// Rendered is what charts and overlays change in the cluster.
	Rendered []Rendering `json:"rendered,omitempty"`
	// Contract is how the outputs change that others read, and whom that breaks; nil if they stay.
	Contract *contract.Change `json:"contract,omitempty"`
}

// Project is what an update would do to one stack.
type Project struct {
	// Name is the project's name in its Pulumi.yaml.
	Name string `json:"name"`
	// Changes are sorted: the dangerous ones first, those that follow from others last.
	Changes []Change `json:"changes"`
	// Same is the number of resources that would stay as they are.
	Same int `json:"same"`
	// Error is why the stack could not be previewed; Changes is then empty.
	Error string `json:"error,omitempty"`

	registered registered // until Price, CheckSupport and Render
}

// Change is what an update would do with one resource. Components are left out: they consist of
// their parts only.
type Change struct {
	Op Op `json:"op"`
	// URN identifies the resource.
	URN string `json:"urn"`
	// Type is the resource's type token, and Name its name in the program.
	Type string `json:"type"`
	Name string `json:"name"`
	// Component is the name of the component that the resource is a part of, or empty.
	Component string `json:"component,omitempty"`
	// Properties are the inputs that differ, sorted by path. What is created or deleted has none.
	Properties []Property `json:"properties,omitempty"`
	// Level is how much attention the change needs, and Reasons say why.
	Level   Level    `json:"level"`
	Reasons []string `json:"reasons,omitempty"`
	// DependsOn are the URNs of other resources in this report that the resource depends on.
	DependsOn []string `json:"dependsOn,omitempty"`
	// Follows is set when the change only follows from others: each property that differs uses an
	// output of another change in this report, so its value, and whether it differs at all, is
	// known only after the update.
	Follows bool `json:"follows,omitempty"`
	// Was is the URN of the resource that is deleted for this one to be made, if the program gives the
	// same resource another name.
	Was string `json:"was,omitempty"`

	inputs map[string]any // of what is created or deleted
}

// Property is one input that differs. A secret value is "[secret]", one that is known only after
// the update is Unknown, and one that has the name of a secret is Withheld.
type Property struct {
	// Path is the property's, such as properties.agentPoolProfiles[0].count.
	Path string `json:"path"`
	// Old and New are its values as JSON has them; nil means that there is none.
	Old any `json:"old,omitempty"`
	New any `json:"new,omitempty"`
	// Replaces says that this difference is why the resource is replaced.
	Replaces bool `json:"replaces,omitempty"`
}

// Unknown stands for a value that is known only after the update.
const Unknown = "(known after the update)"

// Level is how much attention a change needs.
type Level string

// The levels, the highest first.
const (
	// Dangerous changes destroy something that cannot be restored, or take the whole environment
	// down.
	Dangerous Level = "dangerous"
	// Risky changes interrupt something, or change who may do what and who reaches what.
	Risky Level = "risky"
	// Costly changes change the bill.
	Costly Level = "costly"
	// Plain changes need no more attention than any other.
	Plain Level = "plain"
)

// Levels returns the levels, the highest first.
func Levels() []Level { return []Level{Dangerous, Risky, Costly, Plain} }

// worse returns the higher of two levels.
func worse(a, b Level) Level {
	return slices.MinFunc([]Level{a, b}, func(a, b Level) int { return slices.Index(Levels(), a) - slices.Index(Levels(), b) })
}

// Validate returns an error when the file that was read is not a report: an empty one would pass
// for a report without changes. Reports of pull requests are written by code that is not reviewed
// yet.
func (r Report) Validate() error {
	if !slices.Contains(naming.Environments(), r.Environment) {
		return fmt.Errorf("it is of %q, which is no environment", Loggable(r.Environment))
	}
	if len(r.Projects) == 0 && !r.ManifestsAlone {
		return errors.New("it has no projects")
	}
	for _, p := range r.Projects {
		for _, c := range p.Changes {
			if !slices.Contains(Ops(), c.Op) || !slices.Contains(Levels(), c.Level) {
				return fmt.Errorf("%q has a change with op %q and level %q",
					Loggable(p.Name), Loggable(string(c.Op)), Loggable(string(c.Level)))
			}
		}
	}
	for _, rendering := range r.Rendered {
		if !slices.Contains([]string{releases, applications, overlays}, rendering.Kind) {
			return fmt.Errorf("%q is rendered from a %q", Loggable(rendering.Name), Loggable(rendering.Kind))
		}
		for _, o := range rendering.Objects {
			if !slices.Contains(rendered.Ops(), o.Op) || !slices.Contains(rendered.Risks(), o.Risk) {
				return fmt.Errorf("%q has an object with op %q and risk %q",
					Loggable(rendering.Name), Loggable(string(o.Op)), Loggable(string(o.Risk)))
			}
		}
	}
	return nil
}

// Count returns how many changes of the report have the operation.
func (p Project) Count(op Op) int {
	n := 0
	for _, c := range p.Changes {
		if c.Op == op {
			n++
		}
	}
	return n
}

// All returns the changes of all projects, sorted as those of one.
func (r Report) All() []Change {
	var all []Change
	for _, p := range r.Projects {
		all = append(all, p.Changes...)
	}
	sortByWeight(all)
	return all
}

// Dangerous returns the changes that need a reviewer's explicit consent, those of objects in the
// cluster last.
func (r Report) Dangerous() []Change {
	return append(r.dangerousResources(), r.dangerousObjects()...)
}

func (r Report) dangerousResources() []Change {
	return slices.DeleteFunc(r.All(), func(c Change) bool { return c.Level != Dangerous })
}

// Errors returns why stacks could not be previewed, by the projects' order.
func (r Report) Errors() []string {
	var errors []string
	for _, p := range r.Projects {
		if p.Error != "" {
			errors = append(errors, p.Name+": "+p.Error)
		}
	}
	return errors
}

// sortByWeight puts what needs attention first and what only follows last.
func sortByWeight(changes []Change) {
	weight := func(c Change) int {
		w := slices.Index(Levels(), c.Level)
		if c.Follows && c.Level != Dangerous {
			w += len(Levels())
		}
		return w
	}
	slices.SortStableFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(weight(a), weight(b)), cmp.Compare(opWeight(a.Op), opWeight(b.Op)), cmp.Compare(a.URN, b.URN),
			cmp.Compare(a.Name, b.Name))
	})
}

// opWeight puts deletions and replacements first.
func opWeight(op Op) int { return -slices.Index(Ops(), op) }
