package services

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	keyvault "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for, and the service endpoint of a subnet.
const (
	typeVault        = "Microsoft.KeyVault/vaults"
	typeSecret       = "Microsoft.KeyVault/vaults/secrets"
	typeVaultService = "Microsoft.KeyVault"
)

const vaultPath = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.KeyVault/vaults/{vaultName}"

// vaultTypes are key vaults and their secrets.
func vaultTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[keyvault.Vault, keyvault.VaultArgs](arm.Definition{
			Path: vaultPath,
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$`),
				Say:     "3 to 24 letters, digits and hyphens, a letter first and no hyphen last",
				Refuse: func(name string) string {
					if strings.Contains(name, "--") {
						return "it has two hyphens in a row; use one"
					}
					return ""
				},
			},
			Global:    true,
			Immutable: []string{"location"},
			Refers:    map[string]string{"properties.networkAcls.virtualNetworkRules.id": typeSubnet},
			Checks:    []arm.Rule{purgeProtection, vaultRetention, vaultAccess, vaultFirewall},
			Demands:   []arm.Rule{networkSettled, vaultSubnets},
			SoftDeletes: &arm.SoftDeletion{
				Conflict: vaultConflict,
				Protected: func(gone *arm.Record) string {
					if !gone.Inputs.Flag("properties.enablePurgeProtection") {
						return ""
					}
					return retentionOf(gone)
				},
				Recovers: func(s arm.Subject, _ *arm.Record) bool { return s.In.Text("properties.createMode") == "recover" },
			},
			InUse: "VaultInUse",
			Compute: func(s arm.Subject) arm.Document {
				return arm.Document{"properties": map[string]any{
					"vaultUri": vaultURI(s.In.Text("vaultName")), "provisioningState": "Succeeded", "enableSoftDelete": true,
				}}
			},
		}),
		arm.Typed[keyvault.Secret, keyvault.SecretArgs](arm.Definition{
			Path:        vaultPath + "/secrets/{secretName}",
			Name:        arm.NameRule{Pattern: regexp.MustCompile(`^[A-Za-z0-9-]{1,127}$`), Say: "1 to 127 letters, digits and hyphens"},
			WriteOnly:   []string{"properties.value"},
			Checks:      []arm.Rule{secretSize},
			Farewells:   []arm.Rule{secretDeletion},
			SoftDeletes: &arm.SoftDeletion{Conflict: secretConflict},
			Compute:     secretOutputs,
		}),
	}
}

func vaultURI(name string) string { return "https://" + strings.ToLower(name) + ".vault.azure.net/" }

// secretOutputs names the secret and its present version, never its value.
func secretOutputs(s arm.Subject) arm.Document {
	uri := vaultURI(s.In.Text("vaultName")) + "secrets/" + s.In.Text("secretName")
	// Each write makes a new version, which must not reveal the value.
	version := s.Issued("version")
	if existing := s.Cloud.Find(s.ID); existing != nil {
		version = arm.GUIDFor(existing.Outputs.Text("properties.secretUriWithVersion"), "next")
	}
	location := ""
	if vault, ok := arm.Ancestor(s.ID, typeVault); ok {
		if r := s.Cloud.Find(vault); r != nil {
			location = s.Cloud.LocationOf(r)
		}
	}
	return arm.Document{
		"location": location,
		"properties": map[string]any{
			"secretUri":            uri,
			"secretUriWithVersion": uri + "/" + strings.ReplaceAll(version, "-", ""),
		},
	}
}

// purgeProtection is V1: it is on or not set; Azure refuses false.
var purgeProtection = arm.Rule{ID: "V1", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	const path = "properties.enablePurgeProtection"
	if s.Before.Flag(path) && !s.In.Flag(path) && !s.In.Unsure("properties") && !s.In.Unsure(path) {
		return arm.Found(path, "the purge protection of '%s' is for ever; keep it on", s.Label())
	}
	enabled, ok := s.In.At(path).(bool)
	if !ok || enabled {
		return nil
	}
	return arm.Found(path,
		`The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action; leave the property out`)
}}

// vaultRetention is V1: deleted vaults and secrets are kept for 7 to 90 days.
var vaultRetention = arm.Rule{ID: "V1", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	const path = "properties.softDeleteRetentionInDays"
	days, ok := s.In.Number(path)
	if ok && (days < 7 || days > 90) {
		return arm.Found(path, "softDeleteRetentionInDays is %g; use 7 to 90", days)
	}
	if before, had := s.Before.Number(path); ok && had && before != days {
		return arm.Found(path, "softDeleteRetentionInDays cannot be changed from %g to %g once it is set; keep %g", before, days, before)
	}
	return nil
}}

// Limits of secrets. Source: azure-docs key-vault/secrets/about-secrets, 4 September 2019; in
// bytes: azure-cli#5639.
const (
	largestSecret      = 25600
	longestContentType = 255
)

// secretSize is V2: a secret has 25 KB at most. The code is inferred `refusal-codes`.
var secretSize = arm.Rule{ID: "V2", Code: "BadParameter", Broken: func(s arm.Subject) []arm.Finding {
	const value, kind = "properties.value", "properties.contentType"
	var result []arm.Finding
	if size := len(s.In.Text(value)); size > largestSecret {
		result = append(result, arm.Found(value, "the secret has %d bytes; it can have %d, divide it or keep it elsewhere", size, largestSecret)...)
	}
	if length := utf8.RuneCountInString(s.In.Text(kind)); length > longestContentType {
		result = append(result, arm.Found(kind, "contentType has %d characters; it can have %d", length, longestContentType)...)
	}
	return result
}}

// secretDeletion is V2: azure-native deletes a secret through the vault's data plane. For that the
// deployer needs a role that still exists, or an access policy of a vault without roles.
var secretDeletion = arm.Rule{ID: "V2", Code: "ForbiddenByRbac", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typeVault)
	vault := s.Cloud.Find(owner)
	if vault == nil {
		return nil // deleted already, with everything in it
	}
	deployer := s.Cloud.Options().ObjectID
	if !vault.Inputs.Flag("properties.enableRbacAuthorization") {
		if policyAllows(vault.Inputs, deployer, "delete") {
			return nil
		}
		return arm.Found("", "The user '%s' does not have secrets delete permission on key vault '%s', which has no role-based access. "+
			"Set enableRbacAuthorization, and assign Key Vault Secrets Officer to the deployer", deployer, owner)
	}
	if why := lacks(s.Cloud, deployer, mayDeleteSecret, s.ID); why != "" {
		return arm.Found("", "%s", unauthorized("deployer", deployer, "Microsoft.KeyVault/vaults/secrets/delete", s.ID,
			why+"; it must be there until the last secret is gone"))
	}
	return nil
}}

// policyAllows says whether an access policy of a vault gives a principal a permission for secrets.
func policyAllows(vault arm.Document, principal, permission string) bool {
	return slices.ContainsFunc(vault.Documents("properties.accessPolicies"), func(policy arm.Document) bool {
		granted := policy.Texts("permissions.secrets")
		return strings.EqualFold(policy.Text("objectId"), principal) && (containsFold(granted, permission) || containsFold(granted, "all"))
	})
}

// vaultAccess is V2: a vault has roles or access policies. Azure accepts both and ignores the
// policies; here it is an error.
var vaultAccess = arm.Rule{ID: "V2", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	const path = "properties.accessPolicies"
	switch {
	case s.In.Unsure("properties") || s.In.Unsure("properties.enableRbacAuthorization") || s.In.Text("properties.createMode") == "recover":
		return nil
	case s.In.Flag("properties.enableRbacAuthorization") && len(s.In.Items(path)) > 0:
		return arm.Found(path, "with enableRbacAuthorization access policies have no effect; drop them, and assign roles")
	case !s.In.Flag("properties.enableRbacAuthorization") && !s.In.Has(path):
		return arm.Found(path, "a vault without enableRbacAuthorization needs accessPolicies; set enableRbacAuthorization to true, and assign roles")
	default:
		return nil
	}
}}

// vaultFirewall is V3: the firewall of a vault admits addresses of the internet and subnets.
var vaultFirewall = arm.Rule{ID: "V3", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if access := s.In.Text("properties.publicNetworkAccess"); access != "" && !containsFold([]string{"Enabled", "Disabled"}, access) {
		result = append(result, arm.Found("properties.publicNetworkAccess", "publicNetworkAccess is '%s'; use Enabled or Disabled", access)...)
	}
	for i, entry := range s.In.Documents("properties.networkAcls.ipRules") {
		result = append(result, publicRange(arm.Indexed("properties.networkAcls.ipRules", i)+".value", entry.Text("value"))...)
	}
	return result
}}

// publicRange finds a text that is neither an IPv4 address of the internet nor a range of such
// addresses. Another rule reports "".
func publicRange(path, text string) []arm.Finding {
	if text == "" {
		return nil
	}
	prefix, err := netip.ParsePrefix(text)
	if address, errAddress := netip.ParseAddr(text); errAddress == nil {
		prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	if err != nil || !prefix.Addr().Is4() || prefix.Masked() != prefix {
		return arm.Found(path, "'%s' is neither an IPv4 address nor a range of such; write it as 203.0.113.7 or 203.0.113.0/24", text)
	}
	if address := prefix.Addr(); address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || address.IsMulticast() {
		return arm.Found(path, "'%s' is private, and no traffic comes from there; use addresses of the internet, or a virtual network rule", text)
	}
	return nil
}

// vaultSubnets is V3: a subnet that the firewall of a vault admits has the service endpoint of Key
// Vault.
var vaultSubnets = arm.Rule{ID: "V3", Code: "VirtualNetworkRuleSubnetHasNoServiceEndpoint", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, entry := range s.In.Documents("properties.networkAcls.virtualNetworkRules") {
		id := entry.Text("id")
		if subnet, ok := subnetOf(s.Cloud, id); ok && !entry.Flag("ignoreMissingVnetServiceEndpoint") && !hasServiceEndpoint(subnet, typeVaultService) {
			result = append(result, arm.Found(arm.Indexed("properties.networkAcls.virtualNetworkRules", i)+".id",
				"subnet '%s' has no service endpoint of %s; add it to the subnet's serviceEndpoints", id, typeVaultService)...)
		}
	}
	return result
}}

// secretConflict is Azure's answer to a name that a soft-deleted secret still has.
func secretConflict(gone *arm.Record) arm.Violation {
	return arm.Violation{Code: "ObjectIsDeletedButRecoverable", Message: fmt.Sprintf(
		"'%s' is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the object can only "+
			"be recovered or purged. Purge it (az keyvault secret purge) or use another name", gone.ID)}
}

// vaultConflict is Azure's answer to a name that a soft-deleted vault still has.
func vaultConflict(gone *arm.Record) arm.Violation {
	remedy := "purge it (az keyvault purge)"
	if gone.Inputs.Flag("properties.enablePurgeProtection") {
		remedy = "it has purge protection, so its name stays locked for " + retentionOf(gone)
	}
	return arm.Violation{Code: "ConflictError", Property: "vaultName", Message: fmt.Sprintf(
		"A vault with the same name already exists in deleted state: '%s'. You need to either recover or purge existing key vault: "+
			"%s, set properties.createMode to recover, or use another name", gone.ID, remedy)}
}

// retentionOf returns how long a soft-deleted vault is kept.
func retentionOf(vault *arm.Record) string {
	days, ok := vault.Inputs.Number("properties.softDeleteRetentionInDays")
	if !ok {
		days = 90
	}
	return fmt.Sprintf("%g days", days)
}

// ExistingVault is a key vault of another owner, with role-based access, in an existing resource
// group. tenant is the GUID of the directory; empty means the default.
func ExistingVault(group, name, location, tenant string) arm.Existing {
	if tenant == "" {
		tenant = arm.DefaultTenantID
	}
	return arm.Existing{Type: typeVault, Inputs: map[string]any{
		"resourceGroupName": group, "vaultName": name, "location": location,
		"properties": map[string]any{
			"tenantId": tenant, "sku": map[string]any{"family": "A", "name": "standard"}, "enableRbacAuthorization": true,
		},
	}}
}

// ExistingSecret is a secret in an existing vault. A certificate of the vault has a secret of the
// same name. With that secret's id, https://<vault>.vault.azure.net/secrets/<name>, a gateway
// refers to the certificate.
func ExistingSecret(group, vault, name string) arm.Existing {
	return arm.Existing{Type: typeSecret, Inputs: map[string]any{
		"resourceGroupName": group, "vaultName": vault, "secretName": name,
		"properties": map[string]any{"contentType": "application/x-pkcs12"},
	}}
}
