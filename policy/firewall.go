package policy

import (
	"fmt"
	"slices"
)

// coreRules are the rule sets that know the common attacks. Source: azure-docs,
// web-application-firewall/ag/application-gateway-crs-rulegroups-rules.md.
var coreRules = []string{"Microsoft_DefaultRuleSet", "OWASP"}

// firewall requires a web application firewall that refuses attacks, and does not only log them.
func firewall(r Resource, _ string) []finding {
	switch r.kind() {
	case "network:ApplicationGateway":
		if policy := r.at("firewallPolicy", "id"); !policy.unknown() && policy.empty() {
			return []finding{{"the gateway has no firewall policy", "set firewallPolicy.id"}}
		}
	case "network:WebApplicationFirewallPolicy":
		settings := r.at("policySettings")
		found := r.mustBeTrue("what requests carry is not inspected", "policySettings", "requestBodyCheck")
		for _, s := range []struct{ name, want, meaning string }{
			{"state", "Enabled", "the firewall is off"},
			{"mode", "Prevention", "attacks get through"},
		} {
			if value := settings.at(s.name); !value.may(s.want) {
				found = append(found, finding{
					fmt.Sprintf("%s: policySettings.%s is %s", s.meaning, s.name, value),
					fmt.Sprintf("set policySettings.%s to %s", s.name, s.want),
				})
			}
		}
		sets := r.at("managedRules", "managedRuleSets")
		known := slices.ContainsFunc(sets.elements(), func(set property) bool { return set.at("ruleSetType").may(coreRules...) })
		if !sets.unknown() && !known {
			found = append(found, finding{
				"no rule set knows the common attacks", "add Microsoft_DefaultRuleSet to managedRules.managedRuleSets",
			})
		}
		return found
	}
	return nil
}
