package enginetest

import (
	"testing"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func TestEngine_G1_AGatewayIsComplete(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.RequestRoutingRules = network.ApplicationGatewayRequestRoutingRuleArray{}
	previewRefuses(t, e, "gateway", mistake{
		rule: "G1", code: "ApplicationGatewayMissingConfiguration", property: "requestRoutingRules",
		says: []string{"needs at least one entry in requestRoutingRules", "add it"},
	})
}

func TestEngine_G1_PartsReferToPartsThatAreThere(t *testing.T) {
	t.Parallel()
	e := valid()
	e.routing.BackendAddressPool = gatewayPart("backendAddressPools", "gone")
	previewRefuses(t, e, "gateway", mistake{
		rule: "G1", code: "InvalidResourceReference", property: "requestRoutingRules[0].backendAddressPool.id",
		says: []string{"has no gone in its backendAddressPools", "add it or correct the reference"},
	})
}

func TestEngine_G2_RoutingRulesHavePriorities(t *testing.T) {
	t.Parallel()
	e := valid()
	e.routing.Priority = nil
	previewRefuses(t, e, "gateway", mistake{
		rule: "G2", code: "ApplicationGatewayRequestRoutingRulePriorityCannotBeEmpty", property: "requestRoutingRules[0].priority",
		says: []string{"request routing rule 'all' needs a priority from 1 to 20000"},
	})
}

func TestEngine_G2_NoTwoPrioritiesAreTheSame(t *testing.T) {
	t.Parallel()
	e := valid()
	second := *e.routing
	second.Name = pulumi.String("second")
	e.gateway.RequestRoutingRules = network.ApplicationGatewayRequestRoutingRuleArray{e.routing, second}
	previewRefuses(t, e, "gateway", mistake{
		rule: "G2", code: "ApplicationGatewayRequestRoutingRulePriorityCannotBeEmpty", property: "requestRoutingRules[1].priority",
		says: []string{"request routing rules 'all' and 'second' both have priority 100", "each needs its own"},
	})
}

func TestEngine_G3_NameAndTierAreTheSame(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.Sku = network.ApplicationGatewaySkuArgs{Name: pulumi.String("Standard_v2"), Tier: pulumi.String("WAF_v2")}
	previewRefuses(t, e, "gateway", mistake{
		rule: "G3", code: "ApplicationGatewaySkuInvalid", property: "sku",
		says: []string{"sku.name is 'Standard_v2' and sku.tier is 'WAF_v2'", "set both to WAF_v2"},
	})
}

func TestEngine_G3_CapacityIsFixedOrAutoscaled(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.Sku = network.ApplicationGatewaySkuArgs{
		Name: pulumi.String("WAF_v2"), Tier: pulumi.String("WAF_v2"), Capacity: pulumi.Int(2),
	}
	previewRefuses(t, e, "gateway", mistake{
		rule: "G3", code: "ApplicationGatewaySkuInvalid", property: "autoscaleConfiguration",
		says: []string{"exactly one of sku.capacity and autoscaleConfiguration must be set", "drop or add one"},
	})
}

func TestEngine_G3_TheAddressIsStandard(t *testing.T) {
	t.Parallel()
	e := valid()
	e.address.Sku = network.PublicIPAddressSkuArgs{Name: pulumi.String("Basic")}
	upRefuses(t, e, mistake{
		rule: "G3", code: "ApplicationGatewayPublicIpSkuInvalid", property: "frontendIPConfigurations[0]",
		says: []string{"'" + addressID + "' must have SKU Standard and be allocated Static"},
	}, "gateway")
}

func TestEngine_G3_AStandardAddressIsStatic(t *testing.T) {
	t.Parallel()
	e := valid()
	e.address.PublicIPAllocationMethod = pulumi.String("Dynamic")
	previewRefuses(t, e, "address", mistake{
		rule: "G3", code: "PublicIPAllocationMethodNotSupported", property: "publicIPAllocationMethod",
		says: []string{"a public IP address of SKU Standard is Static", "set publicIPAllocationMethod to Static"},
	})
}

const oldFirewall = "ApplicationGatewayFirewallConfigurationDeprecated"

func TestEngine_G4_TheFirewallIsAPolicy(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.WebApplicationFirewallConfiguration = network.ApplicationGatewayWebApplicationFirewallConfigurationArgs{
		Enabled: pulumi.Bool(true), FirewallMode: pulumi.String("Prevention"),
		RuleSetType: pulumi.String("OWASP"), RuleSetVersion: pulumi.String("3.2"),
	}
	previewRefuses(t, e, "gateway", mistake{
		rule: "G4", code: oldFirewall, property: "webApplicationFirewallConfiguration",
		says: []string{"retires on 15 March 2027", "use firewallPolicy.id"},
	})
}

func TestEngine_G4_AGatewayWithFirewallHasAPolicy(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.FirewallPolicy = nil
	previewRefuses(t, e, "gateway", mistake{
		rule: "G4", code: oldFirewall, property: "firewallPolicy",
		says: []string{"a gateway of tier WAF_v2 needs a firewall policy", "set firewallPolicy.id"},
	})
}

func TestEngine_G4_APolicyHasManagedRules(t *testing.T) {
	t.Parallel()
	e := valid()
	e.policy.ManagedRules = network.ManagedRulesDefinitionArgs{ManagedRuleSets: network.ManagedRuleSetArray{}}
	previewRefuses(t, e, "policy", mistake{
		rule: "G4", code: "ApplicationGatewayFirewallPolicyInvalid", property: "managedRules.managedRuleSets",
		says: []string{"a firewall policy needs at least one managed rule set", "add one, such as Microsoft_DefaultRuleSet 2.1"},
	})
}
