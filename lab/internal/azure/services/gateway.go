package services

import (
	"fmt"
	"slices"
	"strings"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// gatewayCollections are the parts of an Application Gateway that other parts, or other resources,
// refer to by id. The first seven must not be empty.
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
func gatewayTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[network.ApplicationGateway, network.ApplicationGatewayArgs](arm.Definition{
			Path:      networkProvider + "applicationGateways/{applicationGatewayName}",
			Name:      anyNetworkName,
			Immutable: []string{"location"},
			Refers: map[string]string{
				"gatewayIPConfigurations.subnet.id": typeSubnet, "frontendIPConfigurations.publicIPAddress.id": typeAddress,
				"frontendIPConfigurations.subnet.id": typeSubnet, "firewallPolicy.id": typeFirewallPolicy,
				"identity.userAssignedIdentities": typeIdentity,
			},
			WriteOnly: []string{"sslCertificates.data", "sslCertificates.password"},
			PartRule:  "G1",
			Checks: []arm.Rule{
				gatewayParts, gatewayOwnReferences, routingPriorities, gatewaySKU, gatewayFirewall, gatewayTLS, gatewayCertificates,
				gatewayListeners, gatewayRouting, gatewayBackends, availabilityZones, zonesStay,
			},
			Demands: []arm.Rule{
				networkSettled, inRegion, gatewaySubnetAlone, gatewaySubnetSize, gatewaySubnetManaged, gatewayAddress, gatewayMayGetSecrets, gatewayLeftToAddOn,
			},
			Compute: gatewayOutputs,
		}),
		arm.Typed[network.WebApplicationFirewallPolicy, network.WebApplicationFirewallPolicyArgs](arm.Definition{
			Path:      networkProvider + "ApplicationGatewayWebApplicationFirewallPolicies/{policyName}",
			Name:      anyNetworkName,
			Immutable: []string{"location"},
			Checks:    []arm.Rule{firewallPolicy, customRulePriorities, firewallSizes},
			InUse:     "ApplicationGatewayFirewallPolicyInUse",
			Compute:   func(arm.Subject) arm.Document { return arm.Document{"resourceState": "Enabled"} },
		}),
	}
}

// gatewayParts is G1: the parts without which a gateway cannot be created.
var gatewayParts = arm.Rule{ID: "G1", Code: "ApplicationGatewayMissingConfiguration", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, collection := range gatewayCollections[:requiredGatewayCollections] {
		if !s.In.Unsure(collection) && len(s.In.Items(collection)) == 0 {
			result = append(result, arm.Finding{Property: collection, Message: fmt.Sprintf(
				"an Application Gateway needs at least one entry in %s; add it", collection)})
		}
	}
	for _, collection := range gatewayCollections {
		names := map[string]bool{}
		for i, part := range s.In.Documents(collection) {
			name := strings.ToLower(part.Text("name"))
			switch {
			case part.Unsure("name"):
			case name == "":
				result = append(result, arm.Found(arm.Indexed(collection, i)+".name", "a part of the gateway has no name; set it")...)
			case names[name]:
				result = append(result, arm.Found(arm.Indexed(collection, i)+".name", "%s has two entries called '%s'; rename one", collection, name)...)
			}
			names[name] = true
		}
	}
	return result
}}

// gatewayOwnReferences is G1 at preview: the parts of a gateway refer to one another by ids that
// the program composes, so a wrong one can be reported before anything exists.
var gatewayOwnReferences = arm.Rule{ID: "G1", Code: "InvalidResourceReference", Broken: func(s arm.Subject) []arm.Finding {
	if s.ID == "" || s.Cloud != nil { // the references of all types are checked when Azure is called
		return nil
	}
	var result []arm.Finding
	s.In.Walk(func(path, text string) {
		if !arm.LooksLikeID(text) || !arm.Within(text, s.ID) {
			return
		}
		parts := strings.Split(text[len(s.ID)+1:], "/")
		if len(parts) < 2 {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("'%s' names no part of the gateway", text)})
			return
		}
		if why := arm.MissingPart(s.Definition, s.ID, s.In, [][2]string{{parts[0], parts[1]}}); why != "" {
			result = append(result, arm.Finding{Property: path, Message: why + "; add it or correct the reference"})
		} else if !slices.Contains(gatewayCollections, parts[0]) {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("'%s' is no part of an Application Gateway; it has %s",
				parts[0], strings.Join(gatewayCollections, ", "))})
		}
	})
	slices.SortFunc(result, func(a, b arm.Finding) int { return strings.Compare(a.Property, b.Property) })
	return result
}}

// routingPriorities is G2: every request routing rule has a priority from 1 to 20000, and no two
// the same.
var routingPriorities = arm.Rule{
	ID: "G2", Code: "ApplicationGatewayRequestRoutingRulePriorityCannotBeEmpty",
	Broken: func(s arm.Subject) []arm.Finding {
		var result []arm.Finding
		taken := map[float64]string{}
		for i, r := range s.In.Documents("requestRoutingRules") {
			path := arm.Indexed("requestRoutingRules", i) + ".priority"
			if r.Unsure("priority") {
				continue
			}
			priority, ok := r.Number("priority")
			if !ok || priority < 1 || priority > 20000 {
				result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
					"request routing rule '%s' needs a priority from 1 to 20000", r.Text("name"))})
				continue
			}
			if other, ok := taken[priority]; ok {
				result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
					"request routing rules '%s' and '%s' both have priority %g; each needs its own", other, r.Text("name"), priority)})
			}
			taken[priority] = r.Text("name")
		}
		return result
	},
}

// mostInstances is how many instances a gateway of generation 2 can have. Source: azure-docs
// application-gateway/application-gateway-autoscaling-zone-redundant, 26 February 2020.
const mostInstances = 125

// gatewaySKU is G3: name and tier are the same, of generation 2, and the capacity is either fixed
// or autoscaled.
var gatewaySKU = arm.Rule{ID: "G3", Code: "ApplicationGatewaySkuInvalid", Broken: func(s arm.Subject) []arm.Finding {
	if s.In.Unsure("sku") || s.In.Unsure("sku.name") || s.In.Unsure("sku.tier") {
		return nil
	}
	var result []arm.Finding
	name, tier := s.In.Text("sku.name"), s.In.Text("sku.tier")
	if name != tier || name != "WAF_v2" && name != "Standard_v2" {
		result = append(result, arm.Finding{Property: "sku", Message: fmt.Sprintf(
			"sku.name is '%s' and sku.tier is '%s'; set both to WAF_v2", name, tier)})
	}
	if s.In.Unsure("sku.capacity") || s.In.Unsure("autoscaleConfiguration") {
		return result
	}
	if s.In.Has("sku.capacity") == s.In.Has("autoscaleConfiguration") {
		result = append(result, arm.Finding{
			Property: "autoscaleConfiguration",
			Message:  "exactly one of sku.capacity and autoscaleConfiguration must be set; drop or add one",
		})
	}
	if capacity, ok := s.In.Number("sku.capacity"); ok && (capacity < 1 || capacity > mostInstances) {
		result = append(result, arm.Found("sku.capacity", "capacity is %g; use 1 to %d", capacity, mostInstances)...)
	}
	low, okLow := s.In.Number("autoscaleConfiguration.minCapacity")
	high, okHigh := s.In.Number("autoscaleConfiguration.maxCapacity")
	if okLow && (low < 0 || low > mostInstances) || okHigh && (high < 2 || high > mostInstances) || okLow && okHigh && low > high {
		result = append(result, arm.Finding{Property: "autoscaleConfiguration", Message: fmt.Sprintf(
			"autoscaling from %g to %g is not possible; use a minimum of 0 to 125 and a maximum of 2 to 125, not below it", low, high)})
	}
	return result
}}

// gatewayFirewall is G4: a policy configures the firewall, never the gateway's own configuration,
// which Azure retires.
var gatewayFirewall = arm.Rule{ID: "G4", Code: "ApplicationGatewayFirewallConfigurationDeprecated", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if s.In.Has("webApplicationFirewallConfiguration") {
		result = append(result, arm.Finding{
			Property: "webApplicationFirewallConfiguration",
			Message:  "webApplicationFirewallConfiguration retires on 15 March 2027; use firewallPolicy.id with a policy of its own",
		})
	}
	switch tier, policy := s.In.Text("sku.tier"), s.In.Has("firewallPolicy"); {
	case tier == "WAF_v2" && !policy:
		result = append(result, arm.Finding{Property: "firewallPolicy", Message: "a gateway of tier WAF_v2 needs a firewall policy; set firewallPolicy.id"})
	case tier == "Standard_v2" && policy:
		result = append(result, arm.Finding{Property: "firewallPolicy", Message: "a firewall policy needs a gateway of tier WAF_v2"})
	}
	return result
}}

// gatewaySubnetAlone is N2: a gateway's subnet holds gateways only.
var gatewaySubnetAlone = arm.Rule{ID: "N2", Code: "ApplicationGatewaySubnetCannotBeUsedByOtherResources", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, configuration := range s.In.Documents("gatewayIPConfigurations") {
		path, id := arm.Indexed("gatewayIPConfigurations", i), configuration.Text("subnet.id")
		subnet, ok := subnetOf(s.Cloud, id)
		if !ok {
			continue // reported as a missing reference
		}
		if delegation := delegationOf(subnet); delegation != "" && delegation != "Microsoft.Network/applicationGateways" {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("subnet '%s' is delegated to %s; use a subnet for gateways", id, delegation)})
		}
		others := slices.DeleteFunc(tenantsOf(s.Cloud, id), func(r *arm.Record) bool {
			return r.Kind == typeGateway || arm.Key(r.ID) == arm.Key(s.ID)
		})
		if len(others) > 0 {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
				"subnet '%s' has other resources in it (%s); give the gateway a subnet of its own", id, arm.NameList(others))})
		}
	}
	return result
}}

// reservedAddresses is how many addresses of a subnet Azure keeps for itself.
const reservedAddresses = 5

// gatewaySubnetSize is N2: the subnet holds all instances that the gateway can have, and Azure's
// own addresses.
var gatewaySubnetSize = arm.Rule{ID: "N2", Code: "ApplicationGatewaySubnetTooSmall", Broken: func(s arm.Subject) []arm.Finding {
	instances, ok := s.In.Number("autoscaleConfiguration.maxCapacity")
	if !ok {
		instances, _ = s.In.Number("sku.capacity")
	}
	for _, frontend := range s.In.Documents("frontendIPConfigurations") {
		if frontend.Has("subnet") {
			instances++
		}
	}
	var result []arm.Finding
	for i, configuration := range s.In.Documents("gatewayIPConfigurations") {
		id := configuration.Text("subnet.id")
		subnet, _ := subnetOf(s.Cloud, id)
		for _, text := range prefixesOf(subnet) {
			prefix, err := parsePrefix(text)
			if err != nil || prefix.Addr().Is6() {
				continue
			}
			if free := float64(int(1)<<(32-prefix.Bits())) - reservedAddresses; free < instances {
				result = append(result, arm.Found(arm.Indexed("gatewayIPConfigurations", i), "subnet '%s' (%s) has room for %g addresses, but the gateway can "+
					"need %g; Azure recommends a /24", id, text, free, instances)...)
			}
		}
	}
	return result
}}

// gatewaySubnetManaged is N3.
var gatewaySubnetManaged = arm.Rule{
	ID: "N3", Code: "ApplicationGatewaySubnetInboundTrafficBlockedByNetworkSecurityGroup",
	Broken: func(s arm.Subject) []arm.Finding {
		var result []arm.Finding
		for _, configuration := range s.In.Documents("gatewayIPConfigurations") {
			if subnet, ok := subnetOf(s.Cloud, configuration.Text("subnet.id")); ok {
				result = append(result, gatewaySubnetOpen(s.Cloud, configuration.Text("subnet.id"), subnet, s.In)...)
			}
		}
		return result
	},
}

// gatewayAddress is G3: the public IP address of a gateway is Standard and Static.
var gatewayAddress = arm.Rule{ID: "G3", Code: "ApplicationGatewayPublicIpSkuInvalid", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, frontend := range s.In.Documents("frontendIPConfigurations") {
		address := s.Cloud.Find(frontend.Text("publicIPAddress.id"))
		if address == nil {
			continue
		}
		if !strings.EqualFold(address.Inputs.Text("sku.name"), "Standard") ||
			!strings.EqualFold(address.Inputs.Text("publicIPAllocationMethod"), "Static") {
			result = append(result, arm.Finding{Property: arm.Indexed("frontendIPConfigurations", i), Message: fmt.Sprintf(
				"public IP address '%s' must have SKU Standard and be allocated Static for a gateway of generation 2", address.ID)})
		}
	}
	return result
}}

// baseRuleSets are the managed rule sets that a firewall policy needs one of; extraRuleSets come on
// top.
var (
	baseRuleSets  = []string{"Microsoft_DefaultRuleSet", "OWASP"}
	extraRuleSets = []string{"Microsoft_BotManagerRuleSet", "Microsoft_HTTPDDoSRuleSet"}
)

// firewallPolicy is G4 from the side of the policy.
var firewallPolicy = arm.Rule{ID: "G4", Code: "ApplicationGatewayFirewallPolicyInvalid", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if !s.In.Unsure("managedRules.managedRuleSets") && len(s.In.Items("managedRules.managedRuleSets")) == 0 {
		result = append(result, arm.Finding{
			Property: "managedRules.managedRuleSets",
			Message:  "a firewall policy needs at least one managed rule set; add one, such as Microsoft_DefaultRuleSet 2.1",
		})
	}
	base := false
	for i, set := range s.In.Documents("managedRules.managedRuleSets") {
		name := set.Text("ruleSetType")
		base = base || set.Unsure("ruleSetType") || slices.Contains(baseRuleSets, name)
		if all := slices.Concat(baseRuleSets, extraRuleSets); name != "" && !slices.Contains(all, name) {
			result = append(result, arm.Found(arm.Indexed("managedRules.managedRuleSets", i)+".ruleSetType", "'%s' is no managed rule set; use one of %s",
				name, strings.Join(all, ", "))...)
		}
	}
	if len(s.In.Documents("managedRules.managedRuleSets")) > 0 && !base && len(result) == 0 {
		result = append(result, arm.Found("managedRules.managedRuleSets", "a firewall policy needs one of %s; add it", strings.Join(baseRuleSets, ", "))...)
	}
	return result
}}

// customRulePriorities is G4: a custom rule of a firewall policy has a priority from 1 to 100, and
// no two have the same. The code for two is inferred `refusal-codes`.
var customRulePriorities = arm.Rule{ID: "G4", Code: "ApplicationGatewayFirewallCustomRuleInvalidPriority", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	taken := map[float64]string{}
	for i, r := range s.In.Documents("customRules") {
		path, name := arm.Indexed("customRules", i)+".priority", r.Text("name")
		priority, ok := r.Number("priority")
		switch other, again := taken[priority]; {
		case !ok:
			continue // missing, which the schema refuses, or unknown
		case priority < 1 || priority > 100:
			result = append(result, arm.Found(path, "Custom Rule '%s' does not have valid priority: %g; use 1 to 100", name, priority)...)
		case again:
			result = append(result, arm.Found(path, "custom rules '%s' and '%s' have the same priority %g; each needs its own", other, name, priority)...)
		}
		taken[priority] = name
	}
	return result
}}

// firewallSizes is G4: a firewall takes requests of 8 KB to 2 MB, and files of 1 MB to 4 GB.
// Source: azure-docs includes/application-gateway-limits, 19 June 2024; the code is inferred
// `refusal-codes`.
var firewallSizes = arm.Rule{ID: "G4", Code: "ApplicationGatewayFirewallPolicyInvalid", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, bound := range []struct {
		name        string
		least, most float64
	}{
		{"maxRequestBodySizeInKb", 8, 2000}, {"requestBodyInspectLimitInKB", 8, 2000}, {"fileUploadLimitInMb", 1, 4000},
	} {
		path := "policySettings." + bound.name
		if size, ok := s.In.Number(path); ok && (size < bound.least || size > bound.most) {
			result = append(result, arm.Found(path, "%s is %g; use %g to %g", bound.name, size, bound.least, bound.most)...)
		}
	}
	return result
}}

// gatewayOutputs gives each part of the gateway its id.
func gatewayOutputs(s arm.Subject) arm.Document {
	result := arm.Document{"operationalState": "Running"}
	for _, collection := range gatewayCollections {
		parts := s.In.Documents(collection)
		if len(parts) == 0 {
			continue
		}
		items := make([]any, 0, len(parts))
		for _, part := range parts {
			items = append(items, map[string]any{
				"id":                s.ID + "/" + collection + "/" + part.Text("name"),
				"provisioningState": "Succeeded",
				"etag":              arm.GUIDFor(s.ID, collection+part.Text("name")),
			})
		}
		result[collection] = items
	}
	return result
}
