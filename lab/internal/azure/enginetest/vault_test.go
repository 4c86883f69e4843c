package enginetest

import (
	"strings"
	"testing"

	containerregistry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20210501preview"
	keyvault "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	operationalinsights "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20230901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

func TestEngine_V1_PurgeProtectionIsTrueOrLeftOut(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vaultProperties.EnablePurgeProtection = pulumi.Bool(false)
	previewRefuses(t, e, "vault", mistake{
		rule: "V1", code: "BadRequest", property: "properties.enablePurgeProtection",
		says: []string{"cannot be set to false", "irreversible", "leave the property out"},
	})
}

func TestEngine_V1_PurgeProtectionIsForEver(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	e := valid()
	e.vaultProperties.EnablePurgeProtection = pulumi.Bool(true)
	l.up(e.program("vault")).accepted()
	l.preview(valid().program("vault")).refused(mistake{
		resource: "vault", rule: "V1", code: "BadRequest", property: "properties.enablePurgeProtection",
		says: []string{"the purge protection of '" + vaultID + "' is for ever", "keep it on"},
	})
}

func TestEngine_V1_DeletedVaultsAreKeptForAWeekAtLeast(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vaultProperties.SoftDeleteRetentionInDays = pulumi.Int(6)
	previewRefuses(t, e, "vault", mistake{
		rule: "V1", code: "BadRequest", property: "properties.softDeleteRetentionInDays",
		says: []string{"softDeleteRetentionInDays is 6", "use 7 to 90"},
	})
}

// A vault cannot move: the engine deletes it and creates it elsewhere, where its name is still
// taken.
func TestEngine_V1_ADeletedVaultKeepsItsName(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vault.Location = pulumi.String("northeurope")
	thenRefuses(t, e, mistake{
		code: "ConflictError", property: "vaultName",
		says: []string{
			"A vault with the same name already exists in deleted state: '" + vaultID + "'",
			"purge it (az keyvault purge), set properties.createMode to recover, or use another name",
		},
	}, "vault")
}

func TestEngine_V2_ADeletedSecretKeepsItsName(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().program("secret")).accepted()
	l.up(valid().program("secrets-role")).accepted()
	l.up(valid().program("secret")).refused(mistake{
		resource: "secret", code: "ObjectIsDeletedButRecoverable",
		says: []string{
			"'" + vaultID + "/secrets/password' is currently in a deleted but recoverable state, and its name cannot be reused",
			"Purge it (az keyvault secret purge) or use another name",
		},
	})
}

func TestEngine_ACR_TheSKUIsKnown(t *testing.T) {
	t.Parallel()
	e := valid()
	e.registry.Sku = containerregistry.SkuArgs{Name: pulumi.String("Classic")}
	previewRefuses(t, e, "registry", mistake{
		rule: "ACR", code: "InvalidSku", property: "sku.name", says: []string{"sku.name is 'Classic'", "use Basic, Standard, Premium"},
	})
}

func TestEngine_ACR_SomeFeaturesArePremium(t *testing.T) {
	t.Parallel()
	for property, change := range map[string]func(*containerregistry.RegistryArgs){
		"zoneRedundancy": func(r *containerregistry.RegistryArgs) { r.ZoneRedundancy = pulumi.String("Enabled") },
		"networkRuleSet": func(r *containerregistry.RegistryArgs) {
			r.NetworkRuleSet = containerregistry.NetworkRuleSetArgs{DefaultAction: pulumi.String("Deny")}
		},
		"policies.retentionPolicy.status": func(r *containerregistry.RegistryArgs) {
			r.Policies = containerregistry.PoliciesArgs{
				RetentionPolicy: containerregistry.RetentionPolicyArgs{Status: pulumi.String("enabled")},
			}
		},
		"dataEndpointEnabled": func(r *containerregistry.RegistryArgs) { r.DataEndpointEnabled = pulumi.Bool(true) },
		"publicNetworkAccess": func(r *containerregistry.RegistryArgs) { r.PublicNetworkAccess = pulumi.String("Disabled") },
	} {
		t.Run(property, func(t *testing.T) {
			t.Parallel()
			e := valid()
			change(e.registry)
			previewRefuses(t, e, "registry", mistake{
				rule: "ACR", code: "FeatureNotSupportedBySku", property: property,
				says: []string{property + " needs SKU Premium, but the SKU is Standard", "change one of the two"},
			})
		})
	}
}

func TestEngine_Logs_TheSKUIsPerGB(t *testing.T) {
	t.Parallel()
	e := valid()
	e.workspace.Sku = operationalinsights.WorkspaceSkuArgs{Name: pulumi.String("Free")}
	previewRefuses(t, e, "workspace", mistake{
		rule: "Logs", code: "InvalidRetentionInDays", property: "sku.name",
		says: []string{"SKU 'Free' is not offered to new workspaces", "use PerGB2018"},
	})
}

func TestEngine_Logs_AreKeptForAMonthAtLeast(t *testing.T) {
	t.Parallel()
	e := valid()
	e.workspace.RetentionInDays = pulumi.Int(7)
	previewRefuses(t, e, "workspace", mistake{
		rule: "Logs", code: "InvalidRetentionInDays", property: "retentionInDays",
		says: []string{"logs cannot be kept for 7 days", "use 30 to 730"},
	})
}

// A workspace cannot move: the engine deletes it and creates it elsewhere, where its name is still
// taken.
func TestEngine_Logs_ADeletedWorkspaceKeepsItsName(t *testing.T) {
	t.Parallel()
	e := valid()
	e.workspace.Location = pulumi.String("northeurope")
	thenRefuses(t, e, mistake{
		code: "Conflict", property: "workspaceName",
		says: []string{"The workspace name is not unique", "keeps its name for 14 days", "or use another name"},
	}, "workspace")
}

func TestEngine_V2_TheDeployerMayDeleteSecrets(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().only("group", "vault", "secret")).accepted()
	l.up(valid().only("group", "vault")).refused(mistake{
		resource: "secret", rule: "V2", code: "ForbiddenByRbac",
		says: []string{
			"'" + azure.DefaultObjectID + "' does not have authorization to perform action 'Microsoft.KeyVault/vaults/secrets/delete'",
			"Assign it Key Vault Secrets Officer there first", "it must be there until the last secret is gone",
		},
	})
}

func TestEngine_V3_TheFirewallIsForTheInternet(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vaultProperties.NetworkAcls = keyvault.NetworkRuleSetArgs{
		DefaultAction: pulumi.String("Deny"), IpRules: keyvault.IPRuleArray{keyvault.IPRuleArgs{Value: pulumi.String("10.0.0.0/8")}},
	}
	previewRefuses(t, e, "vault", mistake{
		rule: "V3", code: "BadRequest", property: "properties.networkAcls.ipRules[0].value",
		says: []string{"'10.0.0.0/8' is private, and no traffic comes from there", "use addresses of the internet, or a virtual network rule"},
	})
}

func TestEngine_V3_SubnetsHaveTheServiceEndpoint(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vaultProperties.NetworkAcls = keyvault.NetworkRuleSetArgs{
		DefaultAction:       pulumi.String("Deny"),
		VirtualNetworkRules: keyvault.VirtualNetworkRuleArray{keyvault.VirtualNetworkRuleArgs{Id: pulumi.String(nodesID)}},
	}
	e.with(of("closed", e.vault, keyvault.NewVault, "nodes"))
	upRefuses(t, e, mistake{
		rule: "V3", code: "VirtualNetworkRuleSubnetHasNoServiceEndpoint", property: "properties.networkAcls.virtualNetworkRules[0].id",
		says: []string{"subnet '" + nodesID + "' has no service endpoint of Microsoft.KeyVault", "add it to the subnet's serviceEndpoints"},
	}, "closed")
}

func TestEngine_Logs_GoSomewhere(t *testing.T) {
	t.Parallel()
	e := valid()
	e.logs.WorkspaceId = nil
	previewRefuses(t, e, "logs", mistake{
		rule: "Logs", code: "BadRequest", property: "workspaceId",
		says: []string{"at least one data sink needs to be specified", "set workspaceId"},
	})
}

func TestEngine_Logs_AreOfCategoriesThatTheResourceHas(t *testing.T) {
	t.Parallel()
	e := valid()
	e.logs.Logs = insights.LogSettingsArray{insights.LogSettingsArgs{Category: pulumi.String("kube-audit"), Enabled: pulumi.Bool(true)}}
	previewRefuses(t, e, "logs", mistake{
		rule: "Logs", code: "BadRequest", property: "logs[0].category",
		says: []string{"Category 'kube-audit' is not supported for type 'Microsoft.Network/virtualNetworks'", "it has VMProtectionAlerts"},
	})
}

func TestEngine_Logs_GoToOnePlaceOnce(t *testing.T) {
	t.Parallel()
	e := valid()
	second := *e.logs
	second.Name = pulumi.String("second")
	e.with(of("second", &second, insights.NewDiagnosticSetting, "logs"))
	upRefuses(t, e, mistake{
		rule: "Logs", code: "Conflict", property: "workspaceId",
		says: []string{"'" + workspaceID + "' is already used in diagnostic setting", "send each category to one place once"},
	}, "second")
}

func TestEngine_V2_ASecretHas25Kilobytes(t *testing.T) {
	t.Parallel()
	e := valid()
	e.secret.Properties = keyvault.SecretPropertiesArgs{Value: pulumi.String(strings.Repeat("a", 25601))}
	previewRefuses(t, e, "secret", mistake{
		rule: "V2", code: "BadParameter", property: "properties.value",
		says: []string{"the secret has 25601 bytes; it can have 25600"},
	})
}

func TestEngine_V2_AVaultHasRolesOrPolicies(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vaultProperties.AccessPolicies = keyvault.AccessPolicyEntryArray{keyvault.AccessPolicyEntryArgs{
		ObjectId: pulumi.String(azure.DefaultObjectID), TenantId: pulumi.String(azure.DefaultTenantID),
		Permissions: keyvault.PermissionsArgs{Secrets: pulumi.ToStringArray([]string{"get"})},
	}}
	previewRefuses(t, e, "vault", mistake{
		rule: "V2", code: "BadRequest", property: "properties.accessPolicies",
		says: []string{"with enableRbacAuthorization access policies have no effect", "drop them, and assign roles"},
	})
}
