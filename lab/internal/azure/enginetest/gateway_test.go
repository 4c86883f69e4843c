package enginetest

import (
	"testing"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
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
	listener, second := *e.listener, *e.routing
	listener.Name, listener.HostName = pulumi.String("second"), pulumi.String("example.com")
	second.Name, second.HttpListener = pulumi.String("second"), gatewayPart("httpListeners", "second")
	e.gateway.HttpListeners = network.ApplicationGatewayHttpListenerArray{e.listener, listener}
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

func TestEngine_G3_AnIdleTimeoutHasBounds(t *testing.T) {
	t.Parallel()
	e := valid()
	e.address.IdleTimeoutInMinutes = pulumi.Int(32)
	previewRefuses(t, e, "address", mistake{
		rule: "G3", code: "PublicIPAddressInvalidIdleTimeout", property: "idleTimeoutInMinutes",
		says: []string{"has invalid Idle Timeout: 32", "must be between 4 and 30"},
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

func TestEngine_G4_CustomRulesHavePriorities(t *testing.T) {
	t.Parallel()
	high, same := valid(), valid()
	high.policy.CustomRules = customRules(890)
	same.policy.CustomRules = customRules(1, 1)
	const code = "ApplicationGatewayFirewallCustomRuleInvalidPriority"

	previewRefuses(t, high, "policy", mistake{
		rule: "G4", code: code, property: "customRules[0].priority",
		says: []string{"Custom Rule 'rule0' does not have valid priority: 890", "use 1 to 100"},
	})
	previewRefuses(t, same, "policy", mistake{
		rule: "G4", code: code, property: "customRules[1].priority",
		says: []string{"custom rules 'rule0' and 'rule1' have the same priority 1", "each needs its own"},
	})
}

// customRules are rules of a firewall policy with these priorities.
func customRules(priorities ...int) network.WebApplicationFirewallCustomRuleArray {
	var rules network.WebApplicationFirewallCustomRuleArray
	for i, priority := range priorities {
		rules = append(rules, network.WebApplicationFirewallCustomRuleArgs{
			Name: pulumi.Sprintf("rule%d", i), Priority: pulumi.Int(priority), RuleType: pulumi.String("MatchRule"), Action: pulumi.String("Block"),
			MatchConditions: network.MatchConditionArray{network.MatchConditionArgs{
				MatchVariables: network.MatchVariableArray{network.MatchVariableArgs{VariableName: pulumi.String("RemoteAddr")}},
				Operator:       pulumi.String("IPMatch"), MatchValues: pulumi.ToStringArray([]string{"203.0.113.7"}),
			}},
		})
	}
	return rules
}

func TestEngine_G4_RequestsHaveASize(t *testing.T) {
	t.Parallel()
	e := valid()
	e.policy.PolicySettings = network.PolicySettingsArgs{MaxRequestBodySizeInKb: pulumi.Int(3000)}
	previewRefuses(t, e, "policy", mistake{
		rule: "G4", code: "ApplicationGatewayFirewallPolicyInvalid", property: "policySettings.maxRequestBodySizeInKb",
		says: []string{"maxRequestBodySizeInKb is 3000", "use 8 to 2000"},
	})
}

const badTLS = "ApplicationGatewaySslPolicyInvalid"

func TestEngine_G5_TheTLSPolicyIsPinned(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.SslPolicy = nil
	previewRefuses(t, e, "gateway", mistake{
		rule: "G5", code: badTLS, property: "sslPolicy",
		says: []string{"a gateway with a listener for Https needs a pinned TLS policy", "set sslPolicy, such as the predefined AppGwSslPolicy20220101"},
	})
}

func TestEngine_G5_OldPoliciesAreNotAccepted(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.SslPolicy = network.ApplicationGatewaySslPolicyArgs{
		PolicyType: pulumi.String("Predefined"), PolicyName: pulumi.String("AppGwSslPolicy20150501"),
	}
	previewRefuses(t, e, "gateway", mistake{
		rule: "G5", code: badTLS, property: "sslPolicy.policyName",
		says: []string{"TLS policy AppGwSslPolicy20150501 allows TLS 1.0, which is no longer accepted", "use AppGwSslPolicy20220101"},
	})
}

func TestEngine_G5_OldAndNewPoliciesDoNotMix(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.SslProfiles = network.ApplicationGatewaySslProfileArray{network.ApplicationGatewaySslProfileArgs{
		Name: pulumi.String("old"), SslPolicy: network.ApplicationGatewaySslPolicyArgs{
			PolicyType: pulumi.String("Predefined"), PolicyName: pulumi.String("AppGwSslPolicy20170401S"),
		},
	}}
	previewRefuses(t, e, "gateway", mistake{
		rule: "G5", code: badTLS, property: "sslProfiles[0].sslPolicy",
		says: []string{"the TLS policy of profile 'old' is old, and that of the gateway is new", "use AppGwSslPolicy20220101 or CustomV2 for both"},
	})
}

// forAddOn returns a valid environment whose gateway the cluster's add-on may write. Only the roles
// of the add-on's identity are missing.
func forAddOn() *environment {
	e := valid()
	e.appgw.Delegations = delegatedTo("Microsoft.Network/applicationGateways")
	e.cluster.AddonProfiles = gatewayAddOn()
	return e
}

var tagged = pulumi.ToStringMap(map[string]string{"owner": "platform"})

func TestEngine_G6_TheAddOnMayWriteItsGateway(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(forAddOn().program("gateway", "cluster")).accepted()
	e := forAddOn()
	e.cluster.Tags = tagged
	o := l.up(e.program("gateway", "cluster"))
	require.Error(t, o.err)
	for _, lacking := range []string{
		"has not got Contributor on '" + gatewayID + "'", "has not got Reader on '" + groupID + "'",
		"has not got Network Contributor on '" + appgwID + "'", "has not got Managed Identity Operator on '" + gatewayIdentityID + "'",
		"Assign it Contributor there first", "Target=addonProfiles.ingressApplicationGateway (rule G6)",
	} {
		assert.Contains(t, o.printed, lacking)
	}
}

func TestEngine_G7_TheAddOnOwnsItsGateway(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(forAddOn().program("gateway", "cluster")).accepted()
	e := forAddOn()
	e.gateway.Tags = tagged
	l.up(e.program("gateway", "cluster")).refused(mistake{
		resource: "gateway", rule: "G7", code: "ApplicationGatewayOwnedByAddon",
		says: []string{
			"the add-on ingressApplicationGateway of '" + clusterID + "' owns gateway '" + gatewayID + "'",
			"would erase its listeners, pools and rules", "keep the inputs as they are (IgnoreChanges)",
		},
	})
}

func TestEngine_G7_AGatewayHasOneAddOn(t *testing.T) {
	t.Parallel()
	e := forAddOn()
	second := *e.cluster
	second.ResourceName = pulumi.String("second-aks")
	e.with(of("second", &second, containerservice.NewManagedCluster, "gateway", "cluster"))
	upRefuses(t, e, mistake{
		rule: "G7", code: "IngressApplicationGatewayInUse", property: "addonProfiles.ingressApplicationGateway",
		says: []string{"'" + gatewayID + "' is written by the add-on of '" + clusterID + "'", "give each cluster a gateway of its own"},
	}, "second")
}

func TestEngine_G8_AGatewayTakesCertificatesWithAnIdentity(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.Identity = nil
	previewRefuses(t, e, "gateway", mistake{
		rule: "G8", code: "ApplicationGatewaySslCertificateInvalid", property: "identity",
		says: []string{
			"a gateway that takes certificates from a vault needs one user-assigned identity",
			"set identity.type to UserAssigned and identity.userAssignedIdentities to one id",
		},
	})
}

const noCertificate = "ApplicationGatewayKeyVaultSecretException"

func TestEngine_G8_TheIdentityMayGetTheCertificate(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gatewayRole.RoleDefinitionId = role("", "", contributor).RoleDefinitionId // on the vault, but not on its content
	upRefuses(t, e, mistake{
		rule: "G8", code: noCertificate, property: "sslCertificates[0].keyVaultSecretId",
		says: []string{
			"'Microsoft.KeyVault/vaults/secrets/getSecret/action' on '" + vaultID + "/secrets/site'",
			"Assign it Key Vault Secrets User there first",
		},
	}, "gateway")
}

func TestEngine_G8_TheCertificateExists(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.SslCertificates = fromVault("https://gridos-kv.vault.azure.net/secrets/other")
	upRefuses(t, e, mistake{
		rule: "G8", code: noCertificate, property: "sslCertificates[0].keyVaultSecretId",
		says: []string{"vault '" + vaultID + "' has no secret or certificate 'other'", "create it first"},
	}, "gateway")
}

func TestEngine_G8_TheVaultIsInReach(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vaultProperties.PublicNetworkAccess = pulumi.String("Disabled")
	upRefuses(t, e, mistake{
		rule: "G8", code: noCertificate, property: "sslCertificates[0].keyVaultSecretId",
		says: []string{"vault '" + vaultID + "' has no public access, and no private endpoint leads to it", "create one first"},
	}, "gateway")
}

func TestEngine_G9_AListenerForHTTPSHasACertificate(t *testing.T) {
	t.Parallel()
	e := valid()
	e.listener.SslCertificate = nil
	previewRefuses(t, e, "gateway", mistake{
		rule: "G9", code: "ApplicationGatewayHttpListenerInvalid", property: "httpListeners[0].sslCertificate",
		says: []string{"listener 'https' for Https needs an sslCertificate", "set it"},
	})
}

func TestEngine_G9_ARuleLeadsToABackendOrARedirection(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.RedirectConfigurations = network.ApplicationGatewayRedirectConfigurationArray{
		network.ApplicationGatewayRedirectConfigurationArgs{
			Name: pulumi.String("away"), RedirectType: pulumi.String("Permanent"), TargetUrl: pulumi.String("https://example.com"),
		},
	}
	e.routing.RedirectConfiguration = gatewayPart("redirectConfigurations", "away")
	previewRefuses(t, e, "gateway", mistake{
		rule: "G9", code: "ApplicationGatewayRequestRoutingRuleInvalid", property: "requestRoutingRules[0]",
		says: []string{"routing rule 'all' needs either a backend", "or a redirectConfiguration"},
	})
}

func TestEngine_G9_AProbeHasTheProtocolOfItsBackend(t *testing.T) {
	t.Parallel()
	e := valid()
	e.backend.Protocol = pulumi.String("Https")
	previewRefuses(t, e, "gateway", mistake{
		rule: "G9", code: "ApplicationGatewayBackendInvalid", property: "backendHttpSettingsCollection[0].probe",
		says: []string{"backend settings 'edge' are for Https, but their probe 'edge' is for Http", "use one protocol"},
	})
}

func TestEngine_G4_TheRuleSetIsABase(t *testing.T) {
	t.Parallel()
	e := valid()
	e.policy.ManagedRules = network.ManagedRulesDefinitionArgs{ManagedRuleSets: network.ManagedRuleSetArray{
		network.ManagedRuleSetArgs{RuleSetType: pulumi.String("Microsoft_BotManagerRuleSet"), RuleSetVersion: pulumi.String("1.1")},
	}}
	previewRefuses(t, e, "policy", mistake{
		rule: "G4", code: "ApplicationGatewayFirewallPolicyInvalid", property: "managedRules.managedRuleSets",
		says: []string{"a firewall policy needs one of Microsoft_DefaultRuleSet, OWASP", "add it"},
	})
}

func TestEngine_G10_ZonesAreChosenOnce(t *testing.T) {
	t.Parallel()
	e := valid()
	e.address.Zones = pulumi.ToStringArray([]string{"1", "2", "3"})
	thenPreviewRefuses(t, e, mistake{
		rule: "G10", code: "ResourceAvailabilityZonesCannotBeModified", property: "zones",
		says: []string{"'" + addressID + "' has an existing availability zone constraint [] and the request has availability zone constraint [1 2 3]"},
	}, "address")
	e = valid()
	e.gateway.Zones = pulumi.ToStringArray([]string{"1"})
	thenPreviewRefuses(t, e, mistake{
		rule: "G10", code: "ResourceAvailabilityZonesCannotBeModified", property: "zones",
		says: []string{"'" + gatewayID + "' has an existing availability zone constraint"},
	}, "gateway")
}
