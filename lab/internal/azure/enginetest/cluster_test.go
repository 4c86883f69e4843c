package enginetest

import (
	"testing"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

func TestEngine_K1_TheIdentityMayJoinTheSubnetFirst(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().only("group", "network", "nodes", "identity", "cluster")).refused(mistake{
		resource: "cluster", rule: "K1", code: "LinkedAuthorizationFailed", property: "identity",
		says: []string{
			identityID, "does not have authorization to perform action 'Microsoft.Network/virtualNetworks/subnets/join/action' on '" + nodesID,
			"Assign it Network Contributor there first",
		},
	})
}

func TestEngine_K1_TheIdentityIsUserAssigned(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.Identity = containerservice.ManagedClusterIdentityArgs{Type: containerservice.ResourceIdentityTypeSystemAssigned}
	upRefuses(t, e, mistake{
		rule: "K1", code: "LinkedAuthorizationFailed", property: "identity",
		says: []string{"needs a user-assigned identity", "set identity.userAssignedIdentities"},
	}, "cluster")
}

func TestEngine_K2_WorkloadIdentityNeedsTheIssuer(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.OidcIssuerProfile = nil
	previewRefuses(t, e, "cluster", mistake{
		rule: "K2", code: "WorkloadIdentityRequiresOIDCIssuer", property: "oidcIssuerProfile.enabled",
		says: []string{"workload identity needs the OIDC issuer", "set oidcIssuerProfile.enabled to true"},
	})
}

func TestEngine_K3_NoLocalAccountsWithoutEntra(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.AadProfile = nil
	previewRefuses(t, e, "cluster", mistake{
		rule: "K3", code: "DisableLocalAccountsRequiresAAD", property: "aadProfile",
		says: []string{"disableLocalAccounts needs an Entra ID profile", "set aadProfile.managed to true"},
	})
}

func TestEngine_K3_NoAdministratorCredentials(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	cluster := valid().program("cluster")
	l.up(cluster).accepted()
	l.preview(func(ctx *pulumi.Context) error {
		if err := cluster(ctx); err != nil {
			return err
		}
		_, err := containerservice.ListManagedClusterAdminCredentials(ctx, &containerservice.ListManagedClusterAdminCredentialsArgs{
			ResourceGroupName: "rg", ResourceName: "gridos-aks",
		})
		return err
	}).refused(mistake{
		rule: "K3", code: "BadRequest",
		says: []string{
			"Getting static credential is not allowed because this cluster is set to disable local accounts: '" + clusterID + "'",
			"Use listManagedClusterUserCredentials",
		},
	})
}

func TestEngine_K4_TheTierIsKnown(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.Sku = containerservice.ManagedClusterSKUArgs{Name: pulumi.String("Base"), Tier: pulumi.String("Paid")}
	previewRefuses(t, e, "cluster", mistake{
		rule: "K4", code: "InvalidSku", property: "sku.tier", says: []string{"sku.tier is 'Paid'", "use Free, Standard, Premium"},
	})
}

func TestEngine_K4_OnePoolIsInline(t *testing.T) {
	t.Parallel()
	e := valid()
	second := *e.systemPool
	second.Name, second.Mode = pulumi.String("user"), pulumi.String("User")
	e.cluster.AgentPoolProfiles = containerservice.ManagedClusterAgentPoolProfileArray{e.systemPool, second}
	previewRefuses(t, e, "cluster", mistake{
		rule: "K4", code: "InvalidAgentPoolProfiles", property: "agentPoolProfiles",
		says: []string{"2 agent pools are inline", "keep exactly one, of mode System, and make the others AgentPool resources"},
	})
}

func TestEngine_K4_TheInlinePoolIsOfModeSystem(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.Mode = pulumi.String("User")
	previewRefuses(t, e, "cluster", mistake{
		rule: "K4", code: "InvalidAgentPoolProfiles", property: "agentPoolProfiles[0].mode",
		says: []string{"the inline agent pool has mode 'User'", "it must be System"},
	})
}

func TestEngine_K4_PoolsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	e := valid()
	e.pool.AgentPoolName = pulumi.String("system")
	upRefuses(t, e, mistake{
		rule: "K4", code: "AgentPoolNameInUse", property: "agentPoolName",
		says: []string{"has an inline agent pool 'system' already", "use another name"},
	}, "pool")
}
