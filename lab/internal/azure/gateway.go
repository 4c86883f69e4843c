package azure

import (
	"fmt"
	"slices"
	"strings"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
)

// gatewayCollections are the parts of an Application Gateway that other parts, or other resources, refer to by id. The first
// seven must not be empty.
var gatewayCollections = []string{
	"gatewayIPConfigurations", "frontendIPConfigurations", "frontendPorts", "backendAddressPools",
	"backendHttpSettingsCollection", "httpListeners", "requestRoutingRules",
	"probes", "sslCertificates", "redirectConfigurations", "urlPathMaps", "rewriteRuleSets", "sslProfiles",
	"trustedRootCertificates", "trustedClientCertificates", "authenticationCertificates",
}

const requiredGatewayCollections = 7

// typeFirewallPolicy is the ARM type of the firewall policy of a gateway.
const typeFirewallPolicy = "Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies"

// gatewayTypes are Application Gateways and their firewall policies.
func gatewayTypes() []definition {
	return []definition{
		typed[network.ApplicationGateway, network.ApplicationGatewayArgs](definition{
			path:      networkProvider + "applicationGateways/{applicationGatewayName}",
			name:      anyNetworkName,
			immutable: []string{"location"},
			refers: map[string]string{
				"gatewayIPConfigurations.subnet.id": typeSubnet, "frontendIPConfigurations.publicIPAddress.id": typeAddress,
				"frontendIPConfigurations.subnet.id": typeSubnet, "firewallPolicy.id": typeFirewallPolicy,
				"identity.userAssignedIdentities": typeIdentity,
			},
			writeOnly: []string{"sslCertificates.data", "sslCertificates.password"},
			checks: []rule{
				gatewayParts, gatewayOwnReferences, routingPriorities, gatewaySKU, gatewayFirewall, gatewayTLS, gatewayCertificates,
				gatewayListeners, gatewayRouting, gatewayBackends, availabilityZones,
			},
			demands: []rule{
				inRegion, gatewaySubnetAlone, gatewaySubnetSize, gatewaySubnetManaged, gatewayAddress, gatewayMayGetSecrets, gatewayLeftToAddOn,
			},
			compute: gatewayOutputs,
		}),
		typed[network.WebApplicationFirewallPolicy, network.WebApplicationFirewallPolicyArgs](definition{
			path:      networkProvider + "ApplicationGatewayWebApplicationFirewallPolicies/{policyName}",
			name:      anyNetworkName,
			immutable: []string{"location"},
			checks:    []rule{firewallPolicy},
			inUse:     "ApplicationGatewayFirewallPolicyInUse",
			compute:   func(subject) document { return document{"resourceState": "Enabled"} },
		}),
	}
}

// gatewayParts is G1: what a gateway cannot be created without.
var gatewayParts = rule{id: "G1", code: "ApplicationGatewayMissingConfiguration", broken: func(s subject) []finding {
	var result []finding
	for _, collection := range gatewayCollections[:requiredGatewayCollections] {
		if !s.in.unsure(collection) && len(s.in.items(collection)) == 0 {
			result = append(result, finding{collection, fmt.Sprintf(
				"an Application Gateway needs at least one entry in %s; add it", collection)})
		}
	}
	for _, collection := range gatewayCollections {
		names := map[string]bool{}
		for i, part := range s.in.documents(collection) {
			name := strings.ToLower(part.text("name"))
			switch {
			case part.unsure("name"):
			case name == "":
				result = append(result, found(indexed(collection, i)+".name", "a part of the gateway has no name; set it")...)
			case names[name]:
				result = append(result, found(indexed(collection, i)+".name", "%s has two entries called '%s'; rename one", collection, name)...)
			}
			names[name] = true
		}
	}
	return result
}}

// gatewayOwnReferences is G1 at preview: the parts of a gateway refer to one another by ids that the program composes, so a
// wrong one can be told before anything exists.
var gatewayOwnReferences = rule{id: "G1", code: "InvalidResourceReference", broken: func(s subject) []finding {
	if s.id == "" || s.cloud != nil { // the references of all types are checked when Azure is called
		return nil
	}
	var result []finding
	s.in.walk(func(path, text string) {
		if !looksLikeID(text) || !within(text, s.id) {
			return
		}
		parts := strings.Split(text[len(s.id)+1:], "/")
		if len(parts) < 2 {
			result = append(result, finding{path, fmt.Sprintf("'%s' names no part of the gateway", text)})
			return
		}
		if why := missingPart(s.definition, s.id, s.in, [][2]string{{parts[0], parts[1]}}); why != "" {
			result = append(result, finding{path, why + "; add it or correct the reference"})
		} else if !slices.Contains(gatewayCollections, parts[0]) {
			result = append(result, finding{path, fmt.Sprintf("'%s' is no part of an Application Gateway; it has %s",
				parts[0], strings.Join(gatewayCollections, ", "))})
		}
	})
	slices.SortFunc(result, func(a, b finding) int { return strings.Compare(a.property, b.property) })
	return result
}}

// routingPriorities is G2: every request routing rule has a priority from 1 to 20000, and no two the same.
var routingPriorities = rule{
	id: "G2", code: "ApplicationGatewayRequestRoutingRulePriorityCannotBeEmpty",
	broken: func(s subject) []finding {
		var result []finding
		taken := map[float64]string{}
		for i, r := range s.in.documents("requestRoutingRules") {
			path := indexed("requestRoutingRules", i) + ".priority"
			if r.unsure("priority") {
				continue
			}
			priority, ok := r.number("priority")
			if !ok || priority < 1 || priority > 20000 {
				result = append(result, finding{path, fmt.Sprintf(
					"request routing rule '%s' needs a priority from 1 to 20000", r.text("name"))})
				continue
			}
			if other, ok := taken[priority]; ok {
				result = append(result, finding{path, fmt.Sprintf(
					"request routing rules '%s' and '%s' both have priority %g; each needs its own", other, r.text("name"), priority)})
			}
			taken[priority] = r.text("name")
		}
		return result
	},
}

// gatewaySKU is G3: name and tier are the same, of generation 2, and the capacity is either fixed or autoscaled.
var gatewaySKU = rule{id: "G3", code: "ApplicationGatewaySkuInvalid", broken: func(s subject) []finding {
	if s.in.unsure("sku") || s.in.unsure("sku.name") || s.in.unsure("sku.tier") {
		return nil
	}
	var result []finding
	name, tier := s.in.text("sku.name"), s.in.text("sku.tier")
	if name != tier || name != "WAF_v2" && name != "Standard_v2" {
		result = append(result, finding{"sku", fmt.Sprintf(
			"sku.name is '%s' and sku.tier is '%s'; set both to WAF_v2", name, tier)})
	}
	if s.in.unsure("sku.capacity") || s.in.unsure("autoscaleConfiguration") {
		return result
	}
	if s.in.has("sku.capacity") == s.in.has("autoscaleConfiguration") {
		result = append(result, finding{
			"autoscaleConfiguration",
			"exactly one of sku.capacity and autoscaleConfiguration must be set; drop or add one",
		})
	}
	low, okLow := s.in.number("autoscaleConfiguration.minCapacity")
	high, okHigh := s.in.number("autoscaleConfiguration.maxCapacity")
	if okLow && (low < 0 || low > 125) || okHigh && (high < 2 || high > 125) || okLow && okHigh && low > high {
		result = append(result, finding{"autoscaleConfiguration", fmt.Sprintf(
			"autoscaling from %g to %g is not possible; use a minimum of 0 to 125 and a maximum of 2 to 125, not below it", low, high)})
	}
	return result
}}

// gatewayFirewall is G4: the firewall is configured by a policy, never by the gateway's own configuration, which retires.
var gatewayFirewall = rule{id: "G4", code: "ApplicationGatewayFirewallConfigurationDeprecated", broken: func(s subject) []finding {
	var result []finding
	if s.in.has("webApplicationFirewallConfiguration") {
		result = append(result, finding{
			"webApplicationFirewallConfiguration",
			"webApplicationFirewallConfiguration retires on 15 March 2027; use firewallPolicy.id with a policy of its own",
		})
	}
	switch tier, policy := s.in.text("sku.tier"), s.in.has("firewallPolicy"); {
	case tier == "WAF_v2" && !policy:
		result = append(result, finding{"firewallPolicy", "a gateway of tier WAF_v2 needs a firewall policy; set firewallPolicy.id"})
	case tier == "Standard_v2" && policy:
		result = append(result, finding{"firewallPolicy", "a firewall policy needs a gateway of tier WAF_v2"})
	}
	return result
}}

// gatewaySubnetAlone is N2: a gateway's subnet holds gateways only.
var gatewaySubnetAlone = rule{id: "N2", code: "ApplicationGatewaySubnetCannotBeUsedByOtherResources", broken: func(s subject) []finding {
	var result []finding
	for i, configuration := range s.in.documents("gatewayIPConfigurations") {
		path, id := indexed("gatewayIPConfigurations", i), configuration.text("subnet.id")
		subnet, ok := subnetOf(s.cloud, id)
		if !ok {
			continue // reported as a missing reference
		}
		if delegation := delegationOf(subnet); delegation != "" && delegation != "Microsoft.Network/applicationGateways" {
			result = append(result, finding{path, fmt.Sprintf("subnet '%s' is delegated to %s; use a subnet for gateways", id, delegation)})
		}
		others := slices.DeleteFunc(tenantsOf(s.cloud, id), func(r *record) bool {
			return r.Kind == typeGateway || key(r.ID) == key(s.id)
		})
		if len(others) > 0 {
			result = append(result, finding{path, fmt.Sprintf(
				"subnet '%s' has other resources in it (%s); give the gateway a subnet of its own", id, nameList(others))})
		}
	}
	return result
}}

// reservedAddresses is how many addresses of a subnet Azure keeps for itself.
const reservedAddresses = 5

// gatewaySubnetSize is N2: the subnet holds all instances that the gateway can have, and Azure's own addresses.
var gatewaySubnetSize = rule{id: "N2", code: "ApplicationGatewaySubnetTooSmall", broken: func(s subject) []finding {
	instances, ok := s.in.number("autoscaleConfiguration.maxCapacity")
	if !ok {
		instances, _ = s.in.number("sku.capacity")
	}
	for _, frontend := range s.in.documents("frontendIPConfigurations") {
		if frontend.has("subnet") {
			instances++
		}
	}
	var result []finding
	for i, configuration := range s.in.documents("gatewayIPConfigurations") {
		id := configuration.text("subnet.id")
		subnet, _ := subnetOf(s.cloud, id)
		for _, text := range prefixesOf(subnet) {
			prefix, err := parsePrefix(text)
			if err != nil || prefix.Addr().Is6() {
				continue
			}
			if free := float64(int(1)<<(32-prefix.Bits())) - reservedAddresses; free < instances {
				result = append(result, found(indexed("gatewayIPConfigurations", i), "subnet '%s' (%s) has room for %g addresses, but the gateway can "+
					"need %g; Azure recommends a /24", id, text, free, instances)...)
			}
		}
	}
	return result
}}

// gatewaySubnetManaged is N3.
var gatewaySubnetManaged = rule{
	id: "N3", code: "ApplicationGatewaySubnetInboundTrafficBlockedByNetworkSecurityGroup",
	broken: func(s subject) []finding {
		var result []finding
		for _, configuration := range s.in.documents("gatewayIPConfigurations") {
			if subnet, ok := subnetOf(s.cloud, configuration.text("subnet.id")); ok {
				result = append(result, gatewaySubnetOpen(s.cloud, configuration.text("subnet.id"), subnet, s.in)...)
			}
		}
		return result
	},
}

// gatewayAddress is G3: the public IP address of a gateway is Standard and Static.
var gatewayAddress = rule{id: "G3", code: "ApplicationGatewayPublicIpSkuInvalid", broken: func(s subject) []finding {
	var result []finding
	for i, frontend := range s.in.documents("frontendIPConfigurations") {
		address := s.cloud.find(frontend.text("publicIPAddress.id"))
		if address == nil {
			continue
		}
		if !strings.EqualFold(address.Inputs.text("sku.name"), "Standard") ||
			!strings.EqualFold(address.Inputs.text("publicIPAllocationMethod"), "Static") {
			result = append(result, finding{indexed("frontendIPConfigurations", i), fmt.Sprintf(
				"public IP address '%s' must have SKU Standard and be allocated Static for a gateway of generation 2", address.ID)})
		}
	}
	return result
}}

// baseRuleSets are the managed rule sets of firewall policies of which one is needed; extraRuleSets come on top.
var (
	baseRuleSets  = []string{"Microsoft_DefaultRuleSet", "OWASP"}
	extraRuleSets = []string{"Microsoft_BotManagerRuleSet", "Microsoft_HTTPDDoSRuleSet"}
)

// firewallPolicy is G4 from the side of the policy.
var firewallPolicy = rule{id: "G4", code: "ApplicationGatewayFirewallPolicyInvalid", broken: func(s subject) []finding {
	var result []finding
	if !s.in.unsure("managedRules.managedRuleSets") && len(s.in.items("managedRules.managedRuleSets")) == 0 {
		result = append(result, finding{
			"managedRules.managedRuleSets",
			"a firewall policy needs at least one managed rule set; add one, such as Microsoft_DefaultRuleSet 2.1",
		})
	}
	base := false
	for i, set := range s.in.documents("managedRules.managedRuleSets") {
		name := set.text("ruleSetType")
		base = base || set.unsure("ruleSetType") || slices.Contains(baseRuleSets, name)
		if all := slices.Concat(baseRuleSets, extraRuleSets); name != "" && !slices.Contains(all, name) {
			result = append(result, found(indexed("managedRules.managedRuleSets", i)+".ruleSetType", "'%s' is no managed rule set; use one of %s",
				name, strings.Join(all, ", "))...)
		}
	}
	if len(s.in.documents("managedRules.managedRuleSets")) > 0 && !base && len(result) == 0 {
		result = append(result, found("managedRules.managedRuleSets", "a firewall policy needs one of %s; add it", strings.Join(baseRuleSets, ", "))...)
	}
	result = append(result, s.oneOf("policySettings.mode", "Prevention", "Detection")...)
	return append(result, s.oneOf("policySettings.state", "Enabled", "Disabled")...)
}}

// oneOf finds a string that is not among the allowed ones. Nothing is found while it is missing or unknown.
func (s subject) oneOf(path string, allowed ...string) []finding {
	value := s.in.text(path)
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return found(path, "%s is '%s'; use %s", path, value, strings.Join(allowed, ", "))
}

// gatewayOutputs gives each part of the gateway its id.
func gatewayOutputs(s subject) document {
	result := document{"operationalState": "Running"}
	for _, collection := range gatewayCollections {
		parts := s.in.documents(collection)
		if len(parts) == 0 {
			continue
		}
		items := make([]any, 0, len(parts))
		for _, part := range parts {
			items = append(items, map[string]any{
				"id":                s.id + "/" + collection + "/" + part.text("name"),
				"provisioningState": "Succeeded",
				"etag":              guidFor(s.id, collection+part.text("name")),
			})
		}
		result[collection] = items
	}
	return result
}
