package program_test

import (
	encoding "encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	cluster  = "azure-native:containerservice/v20240901:ManagedCluster"
	pool     = "azure-native:containerservice/v20240901:AgentPool"
	server   = "azure-native:dbforpostgresql/v20240801:Server"
	vault    = "azure-native:keyvault/v20241101:Vault"
	subnet   = "azure-native:network/v20240501:Subnet"
	registry = "azure-native:containerregistry/v20230701:Registry"
	gateway  = "azure-native:network/v20240501:ApplicationGateway"
	role     = "azure-native:authorization/v20220401:RoleAssignment"
)

// kubeconfig is what AKS hands out with Entra sign-in.
const kubeconfig = `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://c.example.com"}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin,
  args: [get-token, --login, devicecode, --server-id, s]}}}]
`

func run(stack string, overrides map[string]string) (*mocks.Recorded, error) {
	return mocks.Run{
		Project: stacks.Infra, Root: "../..", Stack: stack, Config: overrides,
		Functions: map[string]map[string]any{
			"azure-native:authorization:getClientConfig": {
				"clientId": "c", "objectId": "o", "tenantId": "t", "subscriptionId": "s",
			},
			"azure-native:containerservice/v20240901:listManagedClusterUserCredentials": {
				"kubeconfigs": []any{map[string]any{"name": "clusterUser", "value": base64(kubeconfig)}},
			},
		},
		Computed: map[string]map[string]any{
			cluster: {
				"name":              "aks",
				"oidcIssuerProfile": map[string]any{"enabled": true, "issuerURL": "https://issuer"},
				"identityProfile":   map[string]any{"kubeletidentity": map[string]any{"objectId": "kubelet"}},
			},
			"azure-native:network/v20240501:PublicIPAddress": {"ipAddress": "203.0.113.1"},
		},
	}.Do(program.Program)
}

func TestUnit_EveryEnvironmentRegistersTheWholeInfrastructure(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			counts := map[string]int{}
			for _, r := range recorded.Resources {
				if strings.HasPrefix(r.Type, "azure-native:") {
					counts[r.Type]++
					assert.NotEmpty(t, r.Parent, r.Name)
				}
			}
			assert.Equal(t, map[string]int{
				"azure-native:resources/v20240301:ResourceGroup":       1,
				"azure-native:operationalinsights/v20230901:Workspace": 1,
				"azure-native:network/v20240501:VirtualNetwork":        1,
				subnet: 5,
				"azure-native:network/v20240501:NetworkSecurityGroup": 5,
				"azure-native:network/v20240601:PrivateZone":          1,
				"azure-native:network/v20240601:VirtualNetworkLink":   1,
				registry:                                 1,
				vault:                                    1,
				"azure-native:keyvault/v20241101:Secret": 1,
				server:                                   1,
				"azure-native:dbforpostgresql/v20240801:Database":             1,
				"azure-native:managedidentity/v20230131:UserAssignedIdentity": 1,
				cluster: 1,
				pool:    1,
				gateway: 1,
				"azure-native:network/v20240501:PublicIPAddress":              1,
				"azure-native:network/v20240501:WebApplicationFirewallPolicy": 1,
				role: 4,
			}, counts)

			keys := make([]string, 0, len(recorded.Exports))
			for _, o := range stacks.OutputsOf[stacks.InfraOutputs]() {
				keys = append(keys, o.Key)
			}
			assert.ElementsMatch(t, keys, slices.Collect(maps.Keys(recorded.Exports)))
		})
	}
}

func TestUnit_EnvironmentsDifferAsDesigned(t *testing.T) {
	t.Parallel()
	type facts struct {
		tier, sku, postgres, ha string
		purge, protect          bool
		userMin, userMax        float64
	}
	for environment, want := range map[string]facts{
		"dev":  {"Free", "Standard", "Burstable", "Disabled", false, false, 1, 3},
		"test": {"Standard", "Standard", "GeneralPurpose", "Disabled", false, true, 2, 5},
		"prod": {"Standard", "Premium", "GeneralPurpose", "ZoneRedundant", true, true, 3, 10},
	} {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			aks, pg, kv := recorded.OfType(cluster)[0], recorded.OfType(server)[0], recorded.OfType(vault)[0]
			user, acr := recorded.OfType(pool)[0], recorded.OfType(registry)[0]
			assert.Equal(t, want, facts{
				tier:     aks.Inputs["sku"].ObjectValue()["tier"].StringValue(),
				sku:      acr.Inputs["sku"].ObjectValue()["name"].StringValue(),
				postgres: pg.Inputs["sku"].ObjectValue()["tier"].StringValue(),
				ha:       pg.Inputs["highAvailability"].ObjectValue()["mode"].StringValue(),
				purge:    kv.Inputs["properties"].ObjectValue()["enablePurgeProtection"].IsBool(),
				protect:  aks.Protect && pg.Protect && kv.Protect,
				userMin:  user.Inputs["minCount"].NumberValue(),
				userMax:  user.Inputs["maxCount"].NumberValue(),
			})
		})
	}
}

func TestUnit_SecretsAreSecretAndNothingElseCarriesThem(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", nil)
	require.NoError(t, err)
	for _, o := range stacks.OutputsOf[stacks.InfraOutputs]() {
		if output, ok := recorded.Exports[o.Key].(pulumi.Output); assert.True(t, ok || o.Key == "contractVersion", o.Key) && ok {
			assert.Equal(t, o.Secret, pulumi.IsSecret(output), o.Key)
		}
	}
	text := make(chan string, 1)
	exported, ok := recorded.Exports["kubeconfig"].(pulumi.StringOutput)
	require.True(t, ok)
	exported.ApplyT(func(s string) string { text <- s; return s })
	signsIn := <-text
	assert.Contains(t, signsIn, "azurecli", "the configured mode replaces the interactive one")
	assert.NotContains(t, signsIn, "devicecode")
}

func TestUnit_SubnetsFormAChainAndTheServerWaitsForItsName(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", nil)
	require.NoError(t, err)
	subnets := recorded.OfType(subnet)
	for i, s := range subnets[1:] {
		assert.True(t, dependsOn(s, subnets[i].Name), "%s waits for %s", s.Name, subnets[i].Name)
	}
	assert.True(t, dependsOn(recorded.OfType(server)[0], "dev-network-postgres-zone-link"))
	assert.True(t, dependsOn(recorded.OfType(cluster)[0], "dev-cluster-network-contributor"))
}

func dependsOn(r mocks.Resource, name string) bool {
	return slices.ContainsFunc(r.DependsOn, func(urn string) bool { return strings.HasSuffix(urn, "::"+name) })
}

func TestUnit_MistakesAreReportedTogetherAndNothingIsRegistered(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{
		"addressSpace": "10.10.0.0", "clusterTier": "Gold", "userPoolMin": "many", "userPoolMax": "2", "systemPoolMax": "1",
		"postgresSkuName": "Standard_B1ms", "postgresStorageGb": "33", "postgresAdminLogin": "admin", "registrySku": "Basic",
		"nameSuffix": "toolongforavault", "gatewayMaxCapacity": "1000", "kubernetesVersion": "1.33.1",
		"deployerObjectId": "me", "vaultSoftDeleteDays": "3", "location": "West Europe", "clusterTeir": "Free",
		"logRetentionDays": "5", "zones": `["4"]`, "podCidr": "", "subscriptionId": "mine",
	})
	keys := []string{
		"addressSpace", "clusterTier", "userPoolMin", "systemPoolMax", "postgresSkuName", "postgresStorageGb",
		"postgresAdminLogin", "registryZoneRedundant", "nameSuffix", "gatewayMaxCapacity", "kubernetesVersion",
		"deployerObjectId", "vaultSoftDeleteDays", "location", "clusterTeir", "logRetentionDays", "zones",
		"podCidr", "subscriptionId",
	}
	for _, key := range keys {
		require.ErrorContains(t, err, "gridos-infra:"+key+": ")
	}
	var mistakes *config.Error
	require.ErrorAs(t, err, &mistakes)
	assert.Len(t, mistakes.Mistakes, len(keys), "one message per mistake:\n%v", err)
	assert.Empty(t, recorded.Resources)
}

func TestUnit_AnotherSubscriptionIsRefused(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{"subscriptionId": "11111111-1111-1111-1111-111111111111"})
	require.ErrorContains(t, err, "signed in to subscription s, but the stack is for 11111111-1111-1111-1111-111111111111; "+
		"run `az account set --subscription 11111111-1111-1111-1111-111111111111`")
	assert.Empty(t, recorded.OfType("azure-native:resources/v20240301:ResourceGroup"))
}

func base64(text string) string { return encoding.StdEncoding.EncodeToString([]byte(text)) }
