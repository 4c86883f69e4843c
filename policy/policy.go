// Package policy holds the organisation's guardrails: the limits of every environment, whatever its
// configuration says. The rules are pure functions over what a program registers; Guard applies
// them to a running program. docs/policies.md says why each rule is there and how one is waived.
package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Resource is a registration by a program, as the rules see it.
type Resource struct {
	// URN is the engine's name for the resource, which is what References name.
	URN string
	// Type is the resource's token, such as azure-native:keyvault/v20241101:Vault, and Name its
	// logical name.
	Type, Name string
	// ParentType is the token of the resource's parent, such as gridos-infra:gateway:Gateway, or ""
	// for the stack itself.
	ParentType string
	// Properties are the inputs. What is not known before the update is computed, and no rule judges
	// it.
	Properties resource.PropertyMap
	// References are the URNs of the resources that the value of a property was made of, by the
	// property's name. They are known even when the value is not.
	References map[string][]string
}

// kind is the resource's type without its package and API version, such as keyvault:Vault, or ""
// when it is not of Azure: a guardrail holds in whatever version of the API a resource is written.
func (r Resource) kind() string {
	parts := strings.Split(r.Type, ":")
	if len(parts) != 3 || parts[0] != "azure-native" {
		return ""
	}
	module, _, _ := strings.Cut(parts[1], "/")
	return module + ":" + parts[2]
}

// Violation is one rule that one resource breaks.
type Violation struct {
	// Rule is the rule's id, a heading of docs/policies.md.
	Rule string
	// Resource is the logical name of the resource, Type its token.
	Resource, Type string
	// Message says what is wrong, Remedy what would be right.
	Message, Remedy string
}

// finding is what a rule says about one resource.
type finding struct{ message, remedy string }

// rule is one guardrail. It judges resources one by one, the whole stack, or both.
type rule struct {
	id    string
	check func(r Resource, environment string) []finding
	stack func(rs []Resource) map[int][]finding // by index of the resource
	// waivableIn are the environments in which the rule may be waived; none means all.
	waivableIn []string
}

// rules are the guardrails, sorted by id.
func rules() []rule {
	return []rule{
		{id: "allowed-regions", check: allowedRegions},
		{id: "allowed-skus", check: allowedSKUs},
		{id: "diagnostics", check: logsOn, stack: diagnostics},
		{id: "firewall", check: firewall},
		{id: "https-only", check: httpsOnly, waivableIn: []string{"dev"}},
		{id: "least-privilege", check: leastPrivilege},
		{id: "minimum-tls", check: minimumTLS},
		{id: "no-admin-user", check: noAdminUser},
		{id: "no-password-only", check: noPasswordOnly},
		{id: "no-public-endpoint", check: noPublicEndpoint},
		{id: "pod-security", check: podSecurity},
		{id: "recoverable", check: recoverable},
		{id: "roles", check: rolesDecide},
		{id: "tags", check: tags},
	}
}

// Rules returns the ids of all rules, sorted.
func Rules() []string {
	var ids []string
	for _, r := range rules() {
		ids = append(ids, r.id)
	}
	return ids
}

// Check returns the violations of the rules that need no more than the resource itself.
func Check(r Resource, environment string) []Violation {
	var found []Violation
	for _, rule := range rules() {
		if rule.check == nil {
			continue
		}
		for _, f := range rule.check(r, environment) {
			found = append(found, Violation{rule.id, r.Name, r.Type, f.message, f.remedy})
		}
	}
	return found
}

// CheckStack returns the violations of the rules that need all resources of the stack, sorted.
func CheckStack(rs []Resource) []Violation {
	var found []Violation
	for _, rule := range rules() {
		if rule.stack == nil {
			continue
		}
		for i, findings := range rule.stack(rs) {
			for _, f := range findings {
				found = append(found, Violation{rule.id, rs[i].Name, rs[i].Type, f.message, f.remedy})
			}
		}
	}
	return sorted(found)
}

// sorted returns every violation once, by resource and rule.
func sorted(violations []Violation) []Violation {
	out := slices.Clone(violations)
	slices.SortFunc(out, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Type, b.Type),
			cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(out)
}
