package azure

import (
	"regexp"
	"slices"
	"strings"

	containerregistry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
)

// typeRegistry is the ARM type of a container registry.
const typeRegistry = "Microsoft.ContainerRegistry/registries"

// registryTypes are container registries.
func registryTypes() []definition {
	return []definition{
		typed[containerregistry.Registry, containerregistry.RegistryArgs](definition{
			path:      "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.ContainerRegistry/registries/{registryName}",
			name:      nameRule{pattern: regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`), say: "5 to 50 letters and digits"},
			global:    true,
			immutable: []string{"location", "zoneRedundancy"},
			checks:    []rule{registrySKU, premiumOnly, registryFirewall, availabilityZones},
			demands:   []rule{registryKeepsEndpoints},
			compute: func(s subject) document {
				return document{
					"loginServer": strings.ToLower(s.in.text("registryName")) + ".azurecr.io",
					"status":      map[string]any{"displayStatus": "Ready"},
				}
			},
		}),
	}
}

// registrySKU: there are three.
var registrySKU = rule{id: "ACR", code: "InvalidSku", broken: func(s subject) []finding {
	return s.oneOf("sku.name", "Basic", "Standard", "Premium")
}}

// premiumOnly: zone redundancy, network rules, policies, encryption with an own key, the data endpoint and switching public
// access off need SKU Premium.
var premiumOnly = rule{id: "ACR", code: "FeatureNotSupportedBySku", broken: func(s subject) []finding {
	sku := s.in.text("sku.name")
	if sku == "" || sku == "Premium" {
		return nil
	}
	var result []finding
	for path, used := range map[string]bool{
		"zoneRedundancy":                   s.in.text("zoneRedundancy") == "Enabled",
		"networkRuleSet":                   s.in.has("networkRuleSet"),
		"policies.retentionPolicy.status":  s.in.text("policies.retentionPolicy.status") == "enabled",
		"policies.trustPolicy.status":      s.in.text("policies.trustPolicy.status") == "enabled",
		"policies.quarantinePolicy.status": s.in.text("policies.quarantinePolicy.status") == "enabled",
		"policies.exportPolicy.status":     s.in.text("policies.exportPolicy.status") == "disabled",
		"encryption":                       s.in.text("encryption.status") == "enabled",
		"dataEndpointEnabled":              s.in.flag("dataEndpointEnabled"),
		"publicNetworkAccess":              s.in.text("publicNetworkAccess") == "Disabled",
	} {
		if used {
			result = append(result, found(path, "%s needs SKU Premium, but the SKU is %s; change one of the two", path, sku)...)
		}
	}
	return result
}}

// registryFirewall: the rules of a registry's firewall are addresses of the internet, and its switches have two values.
var registryFirewall = rule{id: "ACR", code: "InvalidNetworkRuleSet", broken: func(s subject) []finding {
	result := slices.Concat(
		s.oneOf("publicNetworkAccess", "Enabled", "Disabled"),
		s.oneOf("networkRuleBypassOptions", "AzureServices", "None"),
		s.oneOf("networkRuleSet.defaultAction", "Allow", "Deny"),
	)
	for i, entry := range s.in.documents("networkRuleSet.ipRules") {
		result = append(result, publicRange(indexed("networkRuleSet.ipRules", i)+".iPAddressOrRange", entry.text("iPAddressOrRange"))...)
	}
	return result
}}

// registryKeepsEndpoints is N9 from the side of the registry: it stays Premium as long as a private endpoint leads to it.
var registryKeepsEndpoints = rule{id: "N9", code: "FeatureNotSupportedBySku", broken: func(s subject) []finding {
	if s.creating() || s.in.text("sku.name") == "Premium" {
		return nil
	}
	endpoints := slices.DeleteFunc(s.cloud.users(s.id), func(r *record) bool { return r.Kind != typePrivateEndpoint })
	if len(endpoints) == 0 {
		return nil
	}
	return found("sku.name", "private endpoints need SKU Premium, and %s leads to this registry; keep the SKU, or delete the endpoint first",
		nameList(endpoints))
}}
