package approval

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/gridos/sharedinfra/internal/changes"
)

// RefusedError lists how a deployment differs from the approved plan. Its text has no values.
type RefusedError struct{ Reasons []string }

// Error names all reasons and the remedy.
func (e *RefusedError) Error() string {
	return "this is not what was approved:\n  " + strings.Join(e.Reasons, "\n  ") +
		"\nplan again and have the new plan approved; what was approved and what would happen now differ"
}

func refused(reasons []string) error {
	if len(reasons) == 0 {
		return nil
	}
	return &RefusedError{reasons}
}

// CheckFor returns a RefusedError unless p, the approved plan, belongs to the coming deployment,
// and its dangerous changes have their consent.
func (p Plan) CheckFor(environment, commit string, contractVersion int, consents []string) error {
	var reasons []string
	same := func(what, approved, is string) {
		if approved != is {
			reasons = append(reasons, fmt.Sprintf("the plan is of %s %s, and this is %s", what, approved, is))
		}
	}
	same("environment", p.Environment, environment)
	same("commit", p.Commit, commit)
	same("contract version", strconv.Itoa(p.ContractVersion), strconv.Itoa(contractVersion))
	if p.Consent != "" && !changes.Consented(consents, p.Consent) {
		reasons = append(reasons, fmt.Sprintf("its dangerous changes need the consent %s, which was not given", p.Consent))
	}
	return refused(reasons)
}

// Check returns a RefusedError unless all that another plan does is in p.
func (p Plan) Check(now Plan) error {
	var reasons []string
	if approved, is := projects(p), projects(now); approved != is {
		reasons = append(reasons, fmt.Sprintf("the plan is of %s, and this is of %s", approved, is))
	}
	for _, s := range now.Stacks {
		reasons = append(reasons, p.stack(s)...)
	}
	return refused(append(reasons, p.widened(now.Dangers)...))
}

// CheckStack is Check for one stack, whose preview was made after the stacks before it were
// updated.
func (p Plan) CheckStack(now Stack, dangers []changes.Danger) error {
	return refused(append(p.stack(now), p.widened(dangers)...))
}

func projects(p Plan) string {
	names := make([]string, len(p.Stacks))
	for i := range p.Stacks {
		names[i] = p.Stacks[i].Project
	}
	return strings.Join(names, ", ")
}

func (p Plan) widened(now []changes.Danger) []string {
	var reasons []string
	for _, d := range changes.Widened(p.Dangers, now) {
		reasons = append(reasons, fmt.Sprintf("%s %s is dangerous, and the consent is not to that", d.Op, d.URN))
	}
	return reasons
}

func (p Plan) stack(now Stack) []string {
	i := slices.IndexFunc(p.Stacks, func(s Stack) bool { return s.Project == now.Project })
	if i < 0 {
		return []string{now.Project + " is not in the plan"}
	}
	approved := p.Stacks[i]
	var reasons []string
	for _, provider := range now.Providers {
		for _, reason := range approved.provider(provider) {
			reasons = append(reasons, fmt.Sprintf("%s: provider %s: %s", now.Project, provider.URN, reason))
		}
	}
	for _, entry := range now.Entries {
		for _, reason := range approved.entry(entry) {
			reasons = append(reasons, fmt.Sprintf("%s: %s %s: %s", now.Project, entry.Operation, entry.URN, reason))
		}
	}
	return reasons
}

func (s Stack) provider(now Provider) []string {
	i := slices.IndexFunc(s.Providers, func(p Provider) bool { return p.URN == now.URN })
	if i < 0 {
		return []string{"it is not in the plan"}
	}
	approved := s.Providers[i]
	if approved.Version != now.Version {
		return []string{fmt.Sprintf("version %s was approved, and this is %s", approved.Version, now.Version)}
	}
	return append(added(approved.Properties, now.Properties), removed(approved.Properties, now.Properties)...)
}

// allowing lists, for each operation, those whose approval allows it: itself, and operations that
// do more.
var allowing = map[apitype.OpType][]apitype.OpType{
	apitype.OpUpdate: {apitype.OpUpdate, apitype.OpReplace},
}

func (s Stack) entry(now Entry) []string {
	allowed := allowing[apitype.OpType(now.Operation)]
	if allowed == nil {
		allowed = []apitype.OpType{apitype.OpType(now.Operation)}
	}
	var others []string
	for _, approved := range s.Entries {
		switch {
		case approved.URN != now.URN:
		case !slices.Contains(allowed, apitype.OpType(approved.Operation)):
			others = append(others, approved.Operation)
		case approved.Provider != now.Provider:
			return []string{"another provider was approved to do it"}
		case created(now.Operation): // a new resource without an input that was approved is another resource
			return append(added(approved.Properties, now.Properties), removed(approved.Properties, now.Properties)...)
		default:
			return added(approved.Properties, now.Properties)
		}
	}
	if len(others) > 0 {
		return []string{"what was approved is " + strings.Join(others, " and ")}
	}
	return []string{"the resource does not change in the plan"}
}

func created(operation string) bool {
	return operation == string(apitype.OpCreate) || operation == string(apitype.OpImport)
}

// added returns those of now's properties that the approval does not cover.
func added(approved, now []Property) []string {
	var reasons []string
	for _, is := range now {
		// Where a whole object was unknown, each part of it was.
		i := slices.IndexFunc(approved, func(p Property) bool {
			return p.Path == is.Path || p.New == Unknown && related(is.Path, p.Path)
		})
		switch {
		case i < 0:
			reasons = append(reasons, is.Path+" does not differ in the plan")
		case is.Replaces && !approved[i].Replaces:
			reasons = append(reasons, is.Path+" causes a replacement, which was not approved")
		case approved[i].New == Unknown:
		case approved[i].Old != is.Old:
			reasons = append(reasons, is.Path+" has another value now than when the plan was made")
		case approved[i].New != is.New:
			reasons = append(reasons, is.Path+" would get another value")
		}
	}
	return reasons
}

// removed returns the approved properties that now does not have.
func removed(approved, now []Property) []string {
	var reasons []string
	for _, was := range approved {
		if was.New != Unknown && !slices.ContainsFunc(now, func(p Property) bool { return related(p.Path, was.Path) }) {
			reasons = append(reasons, was.Path+" would get no value")
		}
	}
	return reasons
}
