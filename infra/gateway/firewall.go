package gateway

import (
	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
)

// Firewall is the configuration of the web application firewall.
type Firewall struct {
	// MaxBodyKB is the longest body of a request, in kilobytes: a longer one is refused with 403
	// before the application sees it.
	MaxBodyKB int
	// RequestsPerMinute is how many requests one client address may send in a minute; 0 means that
	// nothing is counted.
	RequestsPerMinute int
}

const (
	// The longest body that a policy can let through, and the shortest limit, in kilobytes; and how
	// much of a body is inspected. Without limits of our own Azure takes 128 kB for both. Source:
	// azure-docs, web-application-firewall/ag/application-gateway-waf-request-size-limits.md.
	longestBodyKB, shortestBodyKB = 2000, 8
	inspectedKB                   = 128
	// mostRequests is the largest threshold that we let be set; Azure documents none.
	mostRequests = 1_000_000
)

func loadFirewall(r *config.Reader, d Firewall) Firewall {
	return Firewall{
		MaxBodyKB:         r.IntBetween("firewallMaxBodyKb", d.MaxBodyKB, shortestBodyKB, longestBodyKB),
		RequestsPerMinute: r.IntBetween("firewallRequestsPerMinute", d.RequestsPerMinute, 0, mostRequests),
	}
}

func firewallArgs(args Args) *azure.WebApplicationFirewallPolicyArgs {
	firewall := args.Settings.Firewall
	out := &azure.WebApplicationFirewallPolicyArgs{
		ResourceGroupName: args.ResourceGroupName,
		PolicyName:        pulumi.String(args.Names.FirewallPolicy),
		Location:          pulumi.String(args.Location),
		PolicySettings: azure.PolicySettingsArgs{
			State:                       pulumi.String(azure.WebApplicationFirewallEnabledStateEnabled),
			Mode:                        pulumi.String(azure.WebApplicationFirewallModePrevention),
			RequestBodyCheck:            pulumi.Bool(true),
			RequestBodyInspectLimitInKB: pulumi.Int(min(inspectedKB, firewall.MaxBodyKB)),
			MaxRequestBodySizeInKb:      pulumi.Int(firewall.MaxBodyKB),
		},
		ManagedRules: azure.ManagedRulesDefinitionArgs{ManagedRuleSets: azure.ManagedRuleSetArray{
			azure.ManagedRuleSetArgs{
				RuleSetType:    pulumi.String("Microsoft_DefaultRuleSet"),
				RuleSetVersion: pulumi.String("2.1"),
			},
			// Refuses known bad bots, by address and user agent, and logs unknown ones. Source: azure-docs,
			// web-application-firewall/ag/bot-protection-overview.md.
			azure.ManagedRuleSetArgs{
				RuleSetType:    pulumi.String("Microsoft_BotManagerRuleSet"),
				RuleSetVersion: pulumi.String("1.1"),
			},
		}},
		Tags: args.Tags,
	}
	if firewall.RequestsPerMinute > 0 {
		out.CustomRules = azure.WebApplicationFirewallCustomRuleArray{rateLimit(firewall.RequestsPerMinute)}
	}
	return out
}

// rateLimit refuses the requests of a client address beyond so many a minute. A rule needs a
// condition: every address but 255.255.255.255, which no client has. Source: azure-docs,
// web-application-firewall/ag/rate-limiting-configure.md, scenario one.
func rateLimit(requests int) azure.WebApplicationFirewallCustomRuleArgs {
	return azure.WebApplicationFirewallCustomRuleArgs{
		Name:               pulumi.String("ClientRateLimit"),
		Priority:           pulumi.Int(10),
		RuleType:           pulumi.String(azure.WebApplicationFirewallRuleTypeRateLimitRule),
		Action:             pulumi.String(azure.WebApplicationFirewallActionBlock),
		RateLimitDuration:  pulumi.String(azure.ApplicationGatewayFirewallRateLimitDurationOneMin),
		RateLimitThreshold: pulumi.Int(requests),
		GroupByUserSession: azure.GroupByUserSessionArray{azure.GroupByUserSessionArgs{
			GroupByVariables: azure.GroupByVariableArray{azure.GroupByVariableArgs{
				VariableName: pulumi.String(azure.ApplicationGatewayFirewallUserSessionVariableClientAddr),
			}},
		}},
		MatchConditions: azure.MatchConditionArray{azure.MatchConditionArgs{
			MatchVariables: azure.MatchVariableArray{azure.MatchVariableArgs{
				VariableName: pulumi.String(azure.WebApplicationFirewallMatchVariableRemoteAddr),
			}},
			Operator:         pulumi.String(azure.WebApplicationFirewallOperatorIPMatch),
			NegationConditon: pulumi.Bool(true),
			MatchValues:      pulumi.StringArray{pulumi.String("255.255.255.255/32")},
		}},
	}
}
