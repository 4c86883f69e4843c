package enginetest

import (
	"testing"

	containerregistry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
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

func TestEngine_V1_DeletedVaultsAreKeptForAWeekAtLeast(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vaultProperties.SoftDeleteRetentionInDays = pulumi.Int(6)
	previewRefuses(t, e, "vault", mistake{
		rule: "V1", code: "BadRequest", property: "properties.softDeleteRetentionInDays",
		says: []string{"softDeleteRetentionInDays is 6", "use 7 to 90"},
	})
}

// A vault cannot move: the engine deletes it and creates it elsewhere, where its name is still taken.
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
