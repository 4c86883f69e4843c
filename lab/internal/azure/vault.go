package azure

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	keyvault "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
)

// ARM types that rules look for, and the service endpoint of a subnet.
const (
	typeVault        = "Microsoft.KeyVault/vaults"
	typeSecret       = "Microsoft.KeyVault/vaults/secrets"
	typeVaultService = "Microsoft.KeyVault"
)

const vaultPath = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.KeyVault/vaults/{vaultName}"

// vaultTypes are key vaults and their secrets.
func vaultTypes() []definition {
	return []definition{
		typed[keyvault.Vault, keyvault.VaultArgs](definition{
			path: vaultPath,
			name: nameRule{
				pattern: regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$`),
				say:     "3 to 24 letters, digits and hyphens, a letter first and no hyphen last",
				refuse: func(name string) string {
					if strings.Contains(name, "--") {
						return "it has two hyphens in a row; use one"
					}
					return ""
				},
			},
			global:      true,
			immutable:   []string{"location"},
			refers:      map[string]string{"properties.networkAcls.virtualNetworkRules.id": typeSubnet},
			checks:      []rule{purgeProtection, vaultRetention, vaultProperties, vaultAccess, vaultFirewall},
			demands:     []rule{vaultSubnets},
			softDeletes: true,
			inUse:       "VaultInUse",
			compute: func(s subject) document {
				return document{"properties": map[string]any{
					"vaultUri": vaultURI(s.in.text("vaultName")), "provisioningState": "Succeeded", "enableSoftDelete": true,
				}}
			},
		}),
		typed[keyvault.Secret, keyvault.SecretArgs](definition{
			path:        vaultPath + "/secrets/{secretName}",
			name:        nameRule{pattern: regexp.MustCompile(`^[A-Za-z0-9-]{1,127}$`), say: "1 to 127 letters, digits and hyphens"},
			writeOnly:   []string{"properties.value"},
			farewells:   []rule{secretDeletion},
			softDeletes: true,
			compute:     secretOutputs,
		}),
	}
}

func vaultURI(name string) string { return "https://" + strings.ToLower(name) + ".vault.azure.net/" }

// secretOutputs names the secret and its present version, never its value.
func secretOutputs(s subject) document {
	uri := vaultURI(s.in.text("vaultName")) + "secrets/" + s.in.text("secretName")
	// Each write makes a new version; what the value is must not show in it.
	version := s.issued("version")
	if existing := s.cloud.find(s.id); existing != nil {
		version = guidFor(existing.Outputs.text("properties.secretUriWithVersion"), "next")
	}
	location := ""
	if vault, ok := ancestor(s.id, typeVault); ok {
		if r := s.cloud.find(vault); r != nil {
			location = s.cloud.cloud.locationOfRecord(r)
		}
	}
	return document{
		"location": location,
		"properties": map[string]any{
			"secretUri":            uri,
			"secretUriWithVersion": uri + "/" + strings.ReplaceAll(version, "-", ""),
		},
	}
}

// purgeProtection is V1: it is on or not mentioned; Azure refuses false.
var purgeProtection = rule{id: "V1", code: "BadRequest", broken: func(s subject) []finding {
	enabled, ok := s.in.at("properties.enablePurgeProtection").(bool)
	if !ok || enabled {
		return nil
	}
	return found("properties.enablePurgeProtection",
		`The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action; leave the property out`)
}}

// vaultRetention is V1: what is deleted is kept for 7 to 90 days.
var vaultRetention = rule{id: "V1", code: "BadRequest", broken: func(s subject) []finding {
	const path = "properties.softDeleteRetentionInDays"
	days, ok := s.in.number(path)
	if ok && (days < 7 || days > 90) {
		return found(path, "softDeleteRetentionInDays is %g; use 7 to 90", days)
	}
	if before, had := s.before.number(path); ok && had && before != days {
		return found(path, "softDeleteRetentionInDays cannot be changed from %g to %g once it is set; keep %g", before, days, before)
	}
	return nil
}}

// vaultProperties: the SKU's family is A, and its name one of two.
var vaultProperties = rule{code: "BadRequest", broken: func(s subject) []finding {
	return append(s.oneOf("properties.sku.family", "A"), s.oneOf("properties.sku.name", "standard", "premium")...)
}}

// secretDeletion is V2: azure-native deletes a secret through the vault's data plane, for which the deployer needs a role that
// still is there, or an access policy of a vault that has no roles.
var secretDeletion = rule{id: "V2", code: "ForbiddenByRbac", broken: func(s subject) []finding {
	owner, _ := ancestor(s.id, typeVault)
	vault := s.cloud.find(owner)
	if vault == nil {
		return nil // gone already, with all that was in it
	}
	deployer := s.cloud.cloud.options.ObjectID
	if !vault.Inputs.flag("properties.enableRbacAuthorization") {
		if policyAllows(vault.Inputs, deployer, "delete") {
			return nil
		}
		return found("", "The user '%s' does not have secrets delete permission on key vault '%s', which has no role-based access. "+
			"Set enableRbacAuthorization, and assign Key Vault Secrets Officer to the deployer", deployer, owner)
	}
	if why := s.cloud.lacks(deployer, mayDeleteSecret, s.id); why != "" {
		return found("", "%s", unauthorized("deployer", deployer, "Microsoft.KeyVault/vaults/secrets/delete", s.id,
			why+"; it must be there until the last secret is gone"))
	}
	return nil
}}

// policyAllows says whether an access policy of a vault gives a principal a permission for secrets.
func policyAllows(vault document, principal, permission string) bool {
	return slices.ContainsFunc(vault.documents("properties.accessPolicies"), func(policy document) bool {
		granted := policy.texts("permissions.secrets")
		return strings.EqualFold(policy.text("objectId"), principal) && (containsFold(granted, permission) || containsFold(granted, "all"))
	})
}

// vaultAccess is V2: a vault has roles or access policies. Azure takes both and ignores the policies; here it is an error.
var vaultAccess = rule{id: "V2", code: "BadRequest", broken: func(s subject) []finding {
	const path = "properties.accessPolicies"
	switch {
	case s.in.unsure("properties") || s.in.unsure("properties.enableRbacAuthorization") || s.in.text("properties.createMode") == "recover":
		return nil
	case s.in.flag("properties.enableRbacAuthorization") && len(s.in.items(path)) > 0:
		return found(path, "with enableRbacAuthorization access policies have no effect; drop them, and assign roles")
	case !s.in.flag("properties.enableRbacAuthorization") && !s.in.has(path):
		return found(path, "a vault without enableRbacAuthorization needs accessPolicies; set enableRbacAuthorization to true, and assign roles")
	default:
		return nil
	}
}}

// vaultFirewall is V3: what the firewall of a vault lets in are addresses of the internet and subnets.
var vaultFirewall = rule{id: "V3", code: "BadRequest", broken: func(s subject) []finding {
	result := slices.Concat(
		s.oneOf("properties.networkAcls.bypass", "AzureServices", "None"),
		s.oneOf("properties.networkAcls.defaultAction", "Allow", "Deny"),
	)
	if access := s.in.text("properties.publicNetworkAccess"); access != "" && !containsFold([]string{"Enabled", "Disabled"}, access) {
		result = append(result, found("properties.publicNetworkAccess", "publicNetworkAccess is '%s'; use Enabled or Disabled", access)...)
	}
	for i, entry := range s.in.documents("properties.networkAcls.ipRules") {
		result = append(result, publicRange(indexed("properties.networkAcls.ipRules", i)+".value", entry.text("value"))...)
	}
	return result
}}

// publicRange finds what is neither an IPv4 address of the internet nor a range of such addresses. "" is reported elsewhere.
func publicRange(path, text string) []finding {
	if text == "" {
		return nil
	}
	prefix, err := netip.ParsePrefix(text)
	if address, errAddress := netip.ParseAddr(text); errAddress == nil {
		prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	if err != nil || !prefix.Addr().Is4() || prefix.Masked() != prefix {
		return found(path, "'%s' is neither an IPv4 address nor a range of such; write it as 203.0.113.7 or 203.0.113.0/24", text)
	}
	if address := prefix.Addr(); address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || address.IsMulticast() {
		return found(path, "'%s' is private, and no traffic comes from there; use addresses of the internet, or a virtual network rule", text)
	}
	return nil
}

// vaultSubnets is V3: a subnet that the firewall of a vault lets in has the service endpoint of Key Vault.
var vaultSubnets = rule{id: "V3", code: "VirtualNetworkRuleSubnetHasNoServiceEndpoint", broken: func(s subject) []finding {
	var result []finding
	for i, entry := range s.in.documents("properties.networkAcls.virtualNetworkRules") {
		id := entry.text("id")
		if subnet, ok := subnetOf(s.cloud, id); ok && !entry.flag("ignoreMissingVnetServiceEndpoint") && !hasServiceEndpoint(subnet, typeVaultService) {
			result = append(result, found(indexed("properties.networkAcls.virtualNetworkRules", i)+".id",
				"subnet '%s' has no service endpoint of %s; add it to the subnet's serviceEndpoints", id, typeVaultService)...)
		}
	}
	return result
}}

// softDeleteConflict is Azure's answer to a name that a soft-deleted resource still has.
func softDeleteConflict(gone *record) violation {
	if !strings.EqualFold(gone.Kind, typeVault) {
		return violation{code: "ObjectIsDeletedButRecoverable", message: fmt.Sprintf(
			"'%s' is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the object can only "+
				"be recovered or purged. Purge it (az keyvault secret purge) or use another name", gone.ID)}
	}
	remedy := "purge it (az keyvault purge)"
	if gone.Inputs.flag("properties.enablePurgeProtection") {
		remedy = "it has purge protection, so its name stays locked for " + retentionOf(gone)
	}
	return violation{code: "ConflictError", property: "vaultName", message: fmt.Sprintf(
		"A vault with the same name already exists in deleted state: '%s'. You need to either recover or purge existing key vault: "+
			"%s, set properties.createMode to recover, or use another name", gone.ID, remedy)}
}

// retentionOf returns how long a soft-deleted vault is kept.
func retentionOf(vault *record) string {
	days, ok := vault.Inputs.number("properties.softDeleteRetentionInDays")
	if !ok {
		days = 90
	}
	return fmt.Sprintf("%g days", days)
}
