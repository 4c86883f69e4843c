package services

import (
	"regexp"
	"slices"
	"strings"

	containerregistry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// typeRegistry is the ARM type of a container registry.
const typeRegistry = "Microsoft.ContainerRegistry/registries"

// registryTypes are container registries.
func registryTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[containerregistry.Registry, containerregistry.RegistryArgs](arm.Definition{
			Path:      "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.ContainerRegistry/registries/{registryName}",
			Name:      arm.NameRule{Pattern: regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`), Say: "5 to 50 letters and digits"},
			Global:    true,
			Immutable: []string{"location", "zoneRedundancy"},
			Checks:    []arm.Rule{registrySKU, premiumOnly, registryFirewall, availabilityZones},
			Standing:  []arm.Rule{registryKeepsEndpoints},
			Compute: func(s arm.Subject) arm.Document {
				return arm.Document{
					"loginServer": strings.ToLower(s.In.Text("registryName")) + ".azurecr.io",
					"status":      map[string]any{"displayStatus": "Ready"},
				}
			},
		}),
	}
}

// registrySKU: a registry has one of three SKUs.
var registrySKU = arm.Rule{ID: "ACR", Code: "InvalidSku", Broken: func(s arm.Subject) []arm.Finding {
	return s.OneOf("sku.name", "Basic", "Standard", "Premium")
}}

// premiumOnly: these need SKU Premium: zone redundancy, network rules, policies, encryption with
// the user's own key, the data endpoint, and no public access.
var premiumOnly = arm.Rule{ID: "ACR", Code: "FeatureNotSupportedBySku", Broken: func(s arm.Subject) []arm.Finding {
	sku := s.In.Text("sku.name")
	if sku == "" || sku == "Premium" {
		return nil
	}
	var result []arm.Finding
	for path, used := range map[string]bool{
		"zoneRedundancy":                   s.In.Text("zoneRedundancy") == "Enabled",
		"networkRuleSet":                   s.In.Has("networkRuleSet"),
		"policies.retentionPolicy.status":  s.In.Text("policies.retentionPolicy.status") == "enabled",
		"policies.trustPolicy.status":      s.In.Text("policies.trustPolicy.status") == "enabled",
		"policies.quarantinePolicy.status": s.In.Text("policies.quarantinePolicy.status") == "enabled",
		"policies.exportPolicy.status":     s.In.Text("policies.exportPolicy.status") == "disabled",
		"encryption":                       s.In.Text("encryption.status") == "enabled",
		"dataEndpointEnabled":              s.In.Flag("dataEndpointEnabled"),
		"publicNetworkAccess":              s.In.Text("publicNetworkAccess") == "Disabled",
	} {
		if used {
			result = append(result, arm.Found(path, "%s needs SKU Premium, but the SKU is %s; change one of the two", path, sku)...)
		}
	}
	return result
}}

// registryFirewall: the rules of a registry's firewall are addresses of the internet.
var registryFirewall = arm.Rule{ID: "ACR", Code: "InvalidNetworkRuleSet", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, entry := range s.In.Documents("networkRuleSet.ipRules") {
		result = append(result, publicRange(arm.Indexed("networkRuleSet.ipRules", i)+".iPAddressOrRange", entry.Text("iPAddressOrRange"))...)
	}
	return result
}}

// registryKeepsEndpoints is N9 from the side of the registry: it stays Premium as long as a private
// endpoint leads to it.
var registryKeepsEndpoints = arm.Rule{ID: "N9", Code: "FeatureNotSupportedBySku", Broken: func(s arm.Subject) []arm.Finding {
	if s.Creating() || s.In.Text("sku.name") == "Premium" {
		return nil
	}
	endpoints := slices.DeleteFunc(s.Cloud.Users(s.ID), func(r *arm.Record) bool { return r.Kind != typePrivateEndpoint })
	if len(endpoints) == 0 {
		return nil
	}
	return arm.Found("sku.name", "private endpoints need SKU Premium, and %s leads to this registry; keep the SKU, or delete the endpoint first",
		arm.NameList(endpoints))
}}
