package program_test

import (
	encoding "encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
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
	nsg      = "azure-native:network/v20240501:NetworkSecurityGroup"

	group           = "azure-native:resources/v20240301:ResourceGroup"
	vnet            = "azure-native:network/v20240501:VirtualNetwork"
	lock            = "azure-native:authorization/v20200501:ManagementLockByScope"
	assignment      = "azure-native:authorization/v20220601:PolicyAssignment"
	workspace       = "azure-native:operationalinsights/v20230901:Workspace"
	privateEndpoint = "azure-native:network/v20240501:PrivateEndpoint"
	zoneLink        = "azure-native:network/v20240601:VirtualNetworkLink"

	diagnostics = "azure-native:insights/v20210501preview:DiagnosticSetting"
	credential  = "azure-native:managedidentity/v20230131:FederatedIdentityCredential"
	maintenance = "azure-native:containerservice/v20240901:MaintenanceConfiguration"
	admin       = "azure-native:dbforpostgresql/v20240801:Administrator"
	address     = "azure-native:network/v20240501:PublicIPAddress"
	natGateway  = "azure-native:network/v20240501:NatGateway"

	recipients    = "azure-native:insights/v20230101:ActionGroup"
	metricAlert   = "azure-native:insights/v20180301:MetricAlert"
	activityAlert = "azure-native:insights/v20201001:ActivityLogAlert"
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

func of(stack string, overrides map[string]string) mocks.Run {
	// The SDK's mocks know no hooks, and the wait is in a hook; the engine tests of the lab wait.
	values := map[string]string{"rolePropagation": "0s"}
	maps.Copy(values, overrides)
	return mocks.Run{
		Project: stacks.Infra, Root: "../..", Stack: stack, Config: values,
		Functions: map[string]map[string]any{
			"azure-native:authorization:getClientConfig": {
				"clientId": "c", "objectId": "o", "tenantId": "00000000-0000-0000-0000-000000000072", "subscriptionId": "s",
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
			"random:index/randomPassword:RandomPassword":     {"result": mocks.OwnName("-result")},
			"azure-native:managedidentity/v20230131:UserAssignedIdentity": {
				"principalId": mocks.OwnName("-principal"), "clientId": mocks.OwnName("-client"),
			},
		},
	}
}

func run(stack string, overrides map[string]string) (*mocks.Recorded, error) {
	return of(stack, overrides).Do(program.Program)
}

func TestUnit_NoRefusedRegistrationIsSwallowed(t *testing.T) {
	t.Parallel()
	of("prod", map[string]string{
		"operatorNetworkId": operatorNetwork, "operatorRanges": `["192.168.0.0/16"]`,
		"postgresEntraAdmins": `[{"objectId": "11111111-1111-1111-1111-111111111111", "name": "dba", "type": "Group"}]`,
		"monthlyBudget":       "9000", "budgetFrom": "2026-12-01", "metricsWorkspaceId": metricsWorkspace,
	}).EachRefusalEnds(t, program.Program)
}

func TestUnit_AKubeconfigThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for says, configs := range map[string][]any{
		"Azure returned no kubeconfig for the cluster; is it running?": {},
		"the kubeconfig that Azure returned is not base64":             {map[string]any{"name": "clusterUser", "value": "%"}},
		"the kubeconfig that Azure returned is malformed":              {map[string]any{"name": "clusterUser", "value": base64("no: [kubeconfig")}},
	} {
		r := of("dev", nil)
		r.Functions["azure-native:containerservice/v20240901:listManagedClusterUserCredentials"] = map[string]any{"kubeconfigs": configs}
		_, err := r.Do(program.Program)
		require.ErrorContains(t, err, says)
	}
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
			want := map[string]int{
				"azure-native:resources/v20240301:ResourceGroup":                1,
				"azure-native:operationalinsights/v20190901:QueryPack":          1,
				"azure-native:operationalinsights/v20190901:Query":              16,
				"azure-native:operationalinsights/v20230901:Workspace":          1,
				"azure-native:insights/v20230311:DataCollectionRule":            1,
				"azure-native:insights/v20230311:DataCollectionRuleAssociation": 1,
				diagnostics: 13,
				"azure-native:network/v20240501:VirtualNetwork": 1,
				subnet: 5,
				nsg:    5,
				"azure-native:network/v20240601:PrivateZone":        1,
				"azure-native:network/v20240601:VirtualNetworkLink": 1,
				registry:                                 1,
				vault:                                    1,
				"azure-native:keyvault/v20241101:Secret": 3,
				server:                                   1,
				"azure-native:dbforpostgresql/v20240801:Database":             1,
				"azure-native:dbforpostgresql/v20240801:Configuration":        1,
				"azure-native:managedidentity/v20230131:UserAssignedIdentity": 4, // of the cluster and of three workloads
				credential:  3,
				cluster:     1,
				pool:        1,
				maintenance: 3,
				gateway:     1,
				address:     1,
				"azure-native:network/v20240501:WebApplicationFirewallPolicy": 1,
				role: 6,
			}
			if environment != "dev" { // HTTPS: the gateway reads its certificate
				want["azure-native:managedidentity/v20230131:UserAssignedIdentity"]++
				want[role]++
			}
			if environment != "dev" { // nodes leave by a NAT gateway, whose addresses are watched
				fixed := map[string]int{"test": 1, "prod": 2}[environment]
				want[natGateway] = 1
				want[address] += fixed
				want[diagnostics] += fixed
				want[assignment] = 1
			}
			if environment == "prod" { // vault and registry are private, nothing is deleted, and there are alerts
				want[lock] = 3
				want[recipients], want[metricAlert], want[activityAlert] = 1, 10, 2
				want["azure-native:network/v20240501:PrivateEndpoint"] = 2
				want["azure-native:network/v20240501:PrivateDnsZoneGroup"] = 2
				want["azure-native:network/v20240601:PrivateZone"] += 2
				want["azure-native:network/v20240601:VirtualNetworkLink"] += 2
			}
			assert.Equal(t, want, counts)

			keys := make([]string, 0, len(recorded.Exports))
			for _, o := range stacks.OutputsOf[stacks.InfraOutputs]() {
				keys = append(keys, o.Key)
			}
			assert.ElementsMatch(t, keys, slices.Collect(maps.Keys(recorded.Exports)))
		})
	}
}

func TestUnit_EveryRegisteredInputIsInTheGoldenFile(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			recorded.MatchGolden(t, "testdata/"+environment+".yaml")
		})
	}
}

// The only violations of the guardrails are those that the stack files waive.
func TestUnit_WhatIsRegisteredKeepsToTheGuardrails(t *testing.T) {
	t.Parallel()
	for environment, waived := range map[string][]string{
		"dev":  {"https-only dev-gateway-agw", "no-public-endpoint dev-registry-registry"},
		"test": {"no-public-endpoint test-registry-registry"},
		"prod": {},
	} {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			found := []string{}
			for _, v := range recorded.Violations() {
				found = append(found, v.Rule+" "+v.Resource)
			}
			assert.ElementsMatch(t, waived, found, "%v", recorded.Violations())
		})
	}
}

func TestUnit_EnvironmentsDifferAsDesigned(t *testing.T) {
	t.Parallel()
	type facts struct {
		tier, sku, postgres, ha string
		purge, protect          bool
		userMin, userMax        float64
		gatewayZones            int // Azure never changes them: test has those of prod from the start
	}
	for environment, want := range map[string]facts{
		"dev":  {"Free", "Standard", "Burstable", "Disabled", false, false, 1, 3, 0},
		"test": {"Standard", "Standard", "GeneralPurpose", "Disabled", false, true, 2, 5, 3},
		"prod": {"Standard", "Premium", "GeneralPurpose", "ZoneRedundant", true, true, 3, 10, 3},
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
				protect: aks.Protect && pg.Protect && kv.Protect && acr.Protect && recorded.OfType(group)[0].Protect &&
					recorded.OfType(vnet)[0].Protect,
				userMin: user.Inputs["minCount"].NumberValue(),
				userMax: user.Inputs["maxCount"].NumberValue(),

				gatewayZones: len(recorded.OfType(gateway)[0].Inputs["zones"].ArrayValue()),
			})
			for _, a := range recorded.OfType(address) {
				if a.Name == environment+"-gateway-ip" {
					assert.Len(t, a.Inputs["zones"].ArrayValue(), want.gatewayZones, "a gateway has the zones of its address")
				}
			}
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
	// The other format, azure, is a sign-in that kubectl lost in 1.26 (specification containerservice
	// 2024-09-01, parameter format; kubernetes, CHANGELOG-1.26).
	asked := recorded.Calls["azure-native:containerservice/v20240901:listManagedClusterUserCredentials"]
	require.Len(t, asked, 1)
	assert.Equal(t, resource.NewProperty("exec"), asked[0]["format"])
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

// While Azure works on a subnet, it refuses resources that use the network, also in a subnet that
// is ready.
func TestUnit_WhoUsesASubnetWaitsForAllOfThem(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			subnets := recorded.OfType(subnet)
			last := subnets[len(subnets)-1].Name
			users := map[string]bool{}
			for _, r := range recorded.Resources {
				text := fmt.Sprint(r.Inputs.Mappable())
				if r.Type == subnet || !slices.ContainsFunc(subnets, func(s mocks.Resource) bool { return strings.Contains(text, s.Name+"-id") }) {
					continue
				}
				users[r.Type] = true
				pooled := r.Type == pool && dependsOn(r, environment+"-cluster-aks") // its cluster has waited
				assert.True(t, dependsOn(r, last) || pooled, "%s waits for %s", r.Name, last)
			}
			for _, token := range []string{cluster, pool, server, gateway} {
				assert.True(t, users[token], token)
			}
			assert.Equal(t, environment != "prod", users[vault])
			assert.Equal(t, environment == "prod", users[privateEndpoint])
		})
	}
}

const operatorNetwork = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/ops-rg/providers/Microsoft.Network/virtualNetworks/ops-vnet"

// The path by which people and pipelines reach prod belongs to the program, so that a removal
// deletes it, and deletes it last.
func TestUnit_TheOperatorsNetworkIsPeeredAndLinked(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{"operatorNetworkId": operatorNetwork, "operatorRanges": `["192.168.0.0/16"]`})
	require.NoError(t, err)
	admitted := 0
	for _, group := range recorded.OfType("azure-native:network/v20240501:NetworkSecurityGroup") {
		for _, rule := range group.Inputs["securityRules"].ArrayValue() {
			if rule.ObjectValue()["name"].StringValue() == "AllowOperators" {
				admitted++
				assert.Equal(t, resource.NewProperty("192.168.0.0/16"), rule.ObjectValue()["sourceAddressPrefix"], group.Name)
			}
		}
	}
	assert.Equal(t, 2, admitted, "to the API server and to the private endpoints")
	peerings := recorded.OfType("azure-native:network/v20240501:VirtualNetworkPeering")
	require.Len(t, peerings, 2)
	ours, theirs := peerings[0], peerings[1]
	assert.Equal(t, operatorNetwork, ours.Inputs["remoteVirtualNetwork"].ObjectValue()["id"].StringValue())
	assert.True(t, dependsOn(ours, "prod-network-ingress"), "one operation on a network at a time")
	assert.Equal(t, "ops-rg", theirs.Inputs["resourceGroupName"].StringValue())
	assert.Equal(t, "ops-vnet", theirs.Inputs["virtualNetworkName"].StringValue())
	assert.Equal(t, "operators", ours.Inputs["virtualNetworkPeeringName"].StringValue())
	assert.Equal(t, "prod-gridos", theirs.Inputs["virtualNetworkPeeringName"].StringValue())
	for _, side := range peerings { // without it a side is connected, and its hosts reach nothing on the other
		assert.Equal(t, resource.NewProperty(true), side.Inputs["allowVirtualNetworkAccess"], side.Name)
	}
	assert.True(t, dependsOn(theirs, ours.Name))
	elsewhere := recorded.OfType("pulumi:providers:azure-native")
	require.Len(t, elsewhere, 2)
	assert.Equal(t, "11111111-1111-1111-1111-111111111111", elsewhere[1].Inputs["subscriptionId"].StringValue())
	assert.Equal(t, elsewhere[0].Version(), elsewhere[1].Version(), "one version of the plugin")

	links := 0
	zones := recorded.OfType("azure-native:network/v20240601:PrivateZone")
	for _, l := range recorded.OfType(zoneLink) {
		if l.Inputs["virtualNetworkLinkName"].StringValue() == "operators" {
			links++
			zone := strings.TrimSuffix(l.Name, "-operators-link")
			assert.True(t, slices.ContainsFunc(zones, func(z mocks.Resource) bool { return z.Name == zone }), l.Name)
			assert.Equal(t, operatorNetwork, l.Inputs["virtualNetwork"].ObjectValue()["id"].StringValue())
		}
	}
	assert.Len(t, zones, links, "each zone is linked")
	for _, s := range recorded.OfType("azure-native:keyvault/v20241101:Secret") {
		for _, way := range []string{"prod-vault-private-records", "prod-vault-private-zone-link", "prod-vault-private-zone-operators-link"} {
			assert.True(t, dependsOn(s, way), "%s goes before %s", s.Name, way)
		}
	}
	for _, r := range recorded.OfType(privateEndpoint) {
		assert.True(t, dependsOn(r, theirs.Name), "%s goes before the peering", r.Name)
	}

	without, err := run("prod", nil)
	require.NoError(t, err)
	assert.Empty(t, without.OfType("azure-native:network/v20240501:VirtualNetworkPeering"))
	assert.Len(t, without.OfType(zoneLink), len(zones))
}

// A zone of private links without a fallback hides every other resource of its kind: its name would
// not exist in the network.
func TestUnit_NamesThatAZoneDoesNotKnowAreAskedForInPublic(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{"operatorNetworkId": operatorNetwork, "operatorRanges": `["192.168.0.0/16"]`})
	require.NoError(t, err)
	links := recorded.OfType(zoneLink)
	require.Len(t, links, 6)
	for _, l := range links {
		if !strings.HasPrefix(l.Name, "prod-network-postgres-") {
			assert.Equal(t, resource.NewProperty("NxDomainRedirect"), l.Inputs["resolutionPolicy"], l.Name)
		} else {
			assert.NotContains(t, l.Inputs, resource.PropertyKey("resolutionPolicy"), "Azure has it for zones of private links only")
		}
	}
}

// A lock that is created before other resources would keep the first update from replacing them,
// and a lock that is deleted after them would stop a removal.
func TestUnit_TheLockComesLastAndGoesFirst(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	var scopes, names []string
	for _, l := range recorded.OfType(lock) {
		names = append(names, l.Name)
		assert.Equal(t, "CanNotDelete", l.Inputs["level"].StringValue())
		scopes = append(scopes, l.Inputs["scope"].StringValue())
		for _, name := range []string{
			"prod-cluster-user-pool", "prod-database-password-secret", "prod-database-service-password-secret", "prod-gateway-agw",
			"prod-registry-registry", "prod-network-ingress", "prod-pipeline-role",
		} {
			assert.True(t, dependsOn(l, name), name)
		}
	}
	// The group, its network and its private DNS zones have none: it could keep the server from
	// failing over.
	assert.ElementsMatch(t, []string{"prod-database-server-id", "prod-vault-vault-id", "prod-registry-registry-id"}, scopes)
	assert.ElementsMatch(t, []string{"prod-database-delete-lock", "prod-vault-delete-lock", "prod-registry-delete-lock"}, names,
		"under another name it would be deleted and made again")
	test, err := run("test", map[string]string{"deleteLock": "true"})
	require.NoError(t, err)
	assert.Len(t, test.OfType(lock), 3)
}

func TestUnit_AzurePolicyAsksForTheBaselineOfPods(t *testing.T) {
	t.Parallel()
	for environment, want := range map[string]string{"dev": "", "test": "Audit", "prod": "Audit"} {
		recorded, err := run(environment, nil)
		require.NoError(t, err)
		if want == "" {
			assert.Empty(t, recorded.OfType(assignment))
			continue
		}
		require.Len(t, recorded.OfType(assignment), 1, environment)
		in := recorded.OfType(assignment)[0].Inputs
		parameters := in["parameters"].ObjectValue()
		assert.Equal(t, want, parameters["effect"].ObjectValue()["value"].StringValue())
		assert.Contains(t, parameters["excludedNamespaces"].ObjectValue()["value"].ArrayValue(), resource.NewStringProperty("aks-istio-ingress"))
		assert.True(t, strings.HasSuffix(in["policyDefinitionId"].StringValue(), "/a8640138-9b0a-4a28-b8cb-1666c838647d"))
		assert.Equal(t, environment+"-group-id", in["scope"].StringValue())
	}
}

func TestUnit_TheServerGrowsAndIsUpdatedWhenItIsConvenient(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	pg := recorded.OfType(server)[0]
	assert.Equal(t, "Enabled", pg.Inputs["storage"].ObjectValue()["autoGrow"].StringValue())
	assert.Contains(t, pg.IgnoreChanges, "storage.storageSizeGB", "the program would ask it to shrink again")
	assert.NotContains(t, pg.Inputs, resource.PropertyKey("maintenanceWindow"), "a new server takes none")
	for _, swapped := range []string{"availabilityZone", "highAvailability.standbyAvailabilityZone"} {
		assert.Contains(t, pg.IgnoreChanges, swapped, "a failover is no drift to undo")
	}

	recorded, err = run("dev", map[string]string{"postgresMaintenanceDay": "Wednesday", "postgresMaintenanceStart": "03:30"})
	require.NoError(t, err)
	pg = recorded.OfType(server)[0]
	assert.Equal(t, "Disabled", pg.Inputs["storage"].ObjectValue()["autoGrow"].StringValue())
	assert.NotContains(t, pg.IgnoreChanges, "storage.storageSizeGB")
	assert.Equal(t, map[string]any{"customWindow": "Enabled", "dayOfWeek": 3.0, "startHour": 3.0, "startMinute": 30.0},
		pg.Inputs["maintenanceWindow"].Mappable())
	for number, day := range []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"} {
		recorded, err = run("dev", map[string]string{"postgresMaintenanceDay": day})
		require.NoError(t, err, day)
		assert.InDelta(t, number, mocks.PropertyAt(recorded.OfType(server)[0].Inputs, "maintenanceWindow", "dayOfWeek").NumberValue(), 0, day)
	}
	_, err = run("dev", map[string]string{"postgresMaintenanceDay": "Caturday", "postgresMaintenanceStart": "2 am", "postgresVersion": "14"})
	require.ErrorContains(t, err, "postgresMaintenanceDay: ")
	require.ErrorContains(t, err, `postgresMaintenanceStart: "2 am" is not a time of day`)
	require.ErrorContains(t, err, `postgresVersion: "14" is not known here; use one of 15, 16, 17`)
}

func TestUnit_LogsAreCappedWhereTheyAreNoRecordOfAttacks(t *testing.T) {
	t.Parallel()
	for environment, want := range map[string]float64{"dev": 2, "test": 5, "prod": -1} {
		recorded, err := run(environment, nil)
		require.NoError(t, err)
		in := recorded.OfType(workspace)[0].Inputs
		assert.InDelta(t, want, in["workspaceCapping"].ObjectValue()["dailyQuotaGb"].NumberValue(), 0, environment)
	}
}

// Most requests to the API server are reads: kube-audit, and so allLogs, logs each of them.
func TestUnit_ReadsOfTheAPIServerAreNotLogged(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		recorded, err := run(environment, nil)
		require.NoError(t, err)
		settings := recorded.OfType(diagnostics)
		i := slices.IndexFunc(settings, func(d mocks.Resource) bool {
			return d.Inputs["resourceUri"].StringValue() == environment+"-cluster-aks-id"
		})
		require.GreaterOrEqual(t, i, 0, environment)
		var categories []string
		for _, log := range settings[i].Inputs["logs"].ArrayValue() {
			assert.NotContains(t, log.ObjectValue(), resource.PropertyKey("categoryGroup"), environment)
			if category := log.ObjectValue()["category"]; category.IsString() {
				categories = append(categories, category.StringValue())
			}
		}
		assert.Contains(t, categories, "kube-audit-admin", environment)
		assert.NotContains(t, categories, "kube-audit", environment)
	}
}

func dependsOn(r mocks.Resource, name string) bool {
	return slices.ContainsFunc(r.DependsOn, func(urn string) bool { return strings.HasSuffix(urn, "::"+name) })
}

func TestUnit_MistakesAreReportedTogetherAndNothingIsRegistered(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{
		"addressSpace": "10.10.0.0", "clusterTier": "Gold", "userPoolMin": "many", "userPoolMax": "2", "maintenanceStart": "2 am", "systemPoolMax": "1",
		"postgresSkuName": "Standard_B1ms", "postgresStorageGb": "33", "postgresAdminLogin": "admin", "registrySku": "Basic",
		"nameSuffix": "toolongforavault", "gatewayMaxCapacity": "1000", "kubernetesVersion": "1.33.1",
		"deployerObjectId": "me", "vaultSoftDeleteDays": "3", "location": "West Europe", "clusterTeir": "Free",
		"logRetentionDays": "5", "zones": `["4"]`, "podCidr": "", "subscriptionId": "mine",
		"gatewayCertificate": "https://kv.vault.azure.net/certificates/tls/1", "operatorRanges": `["vpn"]`, "owner": "a\nb",
		"pipelineSubjects":    `["repo:gridos/*:environment:prod"]`,
		"postgresEntraAdmins": `[{"objectId": "11111111-1111-1111-1111-111111111111", "name": "dba", "type": "Role"}]`,
		"clusterDnsPrefix":    "-prod", "alertEmails": "[]",
	})
	keys := []string{
		"addressSpace", "clusterTier", "userPoolMin", "systemPoolMax", "postgresSkuName", "postgresStorageGb",
		"postgresAdminLogin", "registrySku", "nameSuffix", "gatewayMaxCapacity", "kubernetesVersion",
		"deployerObjectId", "vaultSoftDeleteDays", "location", "clusterTeir", "logRetentionDays", "zones",
		"podCidr", "subscriptionId", "userPoolMax", "maintenanceStart", "gatewayCertificate", "operatorRanges", "owner",
		"pipelineSubjects", "postgresEntraAdmins", "clusterDnsPrefix", "alertEmails",
	}
	for _, key := range keys {
		require.ErrorContains(t, err, "gridos-infra:"+key+": ")
	}
	var mistakes *config.Error
	require.ErrorAs(t, err, &mistakes)
	assert.Len(t, mistakes.Mistakes, len(keys), "one message per mistake:\n%v", err)
	for _, none := range []string{"0", "many"} {
		_, err := run("prod", map[string]string{"userPoolMax": none})
		require.ErrorAs(t, err, &mistakes)
		assert.Len(t, mistakes.Mistakes, 1, "it is told once that userPoolMax is %s:\n%v", none, err)
	}
	assert.Empty(t, recorded.Resources)
}

// Configurations at the very bound of what is refused.
func TestUnit_WhatIsJustEnoughIsAccepted(t *testing.T) {
	t.Parallel()
	accepted := []map[string]string{
		{"systemPoolMin": "3", "systemPoolMax": "3"},
		{"gatewayMinCapacity": "2", "gatewayMaxCapacity": "2"},
		{"podCidr": "10.244.0.0/21"},     // eight nodes of a /24, and both pools have up to eight
		{"serviceCidr": "172.16.0.0/13"}, // a /12 is too wide (rule N7)
	}
	// All sizes of a disk (rule P2).
	for _, size := range []string{"32", "64", "128", "256", "512", "1024", "2048", "4095", "4096", "8192", "16384", "32767"} {
		accepted = append(accepted, map[string]string{"postgresStorageGb": size})
	}
	for _, values := range accepted {
		_, err := run("dev", values)
		require.NoError(t, err, "%v", values)
	}
}

// Mistakes that no single concern can see: each line is a configuration with one mistake.
func TestUnit_WhatDoesNotGoTogetherIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stack  string
		config map[string]string
		want   string
	}{
		"subnet too small for the nodes": {
			"dev",
			map[string]string{"aksSubnet": "10.10.0.0/28", "userPoolMax": "20"},
			"aksSubnet: 10.10.0.0/28 has room for 11 nodes, but both pools have up to 26",
		},
		"pods' range too small for the nodes": {
			"dev",
			map[string]string{"podCidr": "10.244.0.0/22"},
			"podCidr: 10.244.0.0/22 has a /24 for 4 nodes, but both pools have up to 8",
		},
		"pods' range too small for one node": {
			"dev",
			map[string]string{"podCidr": "10.244.0.0/25"},
			"podCidr: 10.244.0.0/25 has a /24 for 0 nodes, but both pools have up to 8",
		},
		"a disk that does not fit": {
			"dev",
			map[string]string{"systemPoolVmSize": "Standard_D2ds_v5"},
			"osDiskSizeGb: 128 GiB do not fit on the local disk of Standard_D2ds_v5, which has 75; lower it, choose a larger size",
		},
		"a disk where there is none": {
			"test",
			map[string]string{"userPoolVmSize": "Standard_E8as_v5"},
			"osDiskSizeGb: 128 GiB do not fit on the local disk of Standard_E8as_v5, which has 0",
		},
		"two pools of one name": {
			"dev", map[string]string{"systemPoolName": "user"}, `systemPoolName: "user" is the name of the user pool; choose another`,
		},
		"a name that no pool can have": {
			"dev", map[string]string{"systemPoolName": "System-2"}, `systemPoolName: "System-2" is not the name of a pool`,
		},
		"nodes replaced for two reasons in one night": {
			"prod", map[string]string{"nodeImageDay": "Sunday"}, "nodeImageDay: Sunday is kubernetesDay too, and both replace nodes",
		},
		"a mesh without a revision": {
			"dev", map[string]string{"istioRevisions": "[]"}, "istioRevisions: has 0 revisions; name one",
		},
		"a revision of another Istio": {
			"dev", map[string]string{"istioRevisions": `["1-30-0"]`}, `istioRevisions: "1-30-0" is not a revision of AKS' Istio`,
		},
		"a mesh that goes down": {
			"dev",
			map[string]string{"istioRevisions": `["asm-1-30", "asm-1-29"]`},
			"istioRevisions: an upgrade leads from asm-1-30 to one of the next 2 revisions, not to asm-1-29; write the old one first",
		},
		"a mesh that stays where it is": {
			"dev",
			map[string]string{"istioRevisions": `["asm-1-30", "asm-1-30"]`},
			"istioRevisions: an upgrade leads from asm-1-30 to one of the next 2 revisions, not to asm-1-30; write the old one first",
		},
		"a mesh that is too old for Kubernetes": {
			"dev",
			map[string]string{"istioRevisions": `["asm-1-28"]`, "kubernetesVersion": "1.36"},
			"istioRevisions: asm-1-28 goes with Kubernetes 1.30 to 1.35, but kubernetesVersion is 1.36; upgrade the mesh first",
		},
		"subnet too small for the gateway": {
			"prod",
			map[string]string{"gatewaySubnet": "10.30.16.0/28", "gatewayMaxCapacity": "20"},
			"gatewaySubnet: 10.30.16.0/28 has room for 11 gateway instances, but gatewayMaxCapacity is 20",
		},
		"no zones in the region": {
			"dev", map[string]string{"location": "ukwest"}, "zones: ukwest has no availability zones",
		},
		"no pair for the backup": {
			"prod", map[string]string{"location": "qatarcentral"}, "postgresGeoBackup: qatarcentral is paired with no other region",
		},
		"no standby in the region": {
			"prod",
			map[string]string{"location": "japanwest", "policyWaivers": "[]", "postgresGeoBackup": "false"},
			"postgresHighAvailability: PostgreSQL has no standby in another zone in japanwest",
		},
		"a peer that no security group lets in": {
			"prod",
			map[string]string{"operatorNetworkId": operatorNetwork},
			"operatorRanges: is empty, but operatorNetworkId is peered",
		},
		"an id that is no network's": {
			"prod",
			map[string]string{"operatorNetworkId": "ops-vnet"},
			`operatorNetworkId: "ops-vnet" is not the id of a virtual network; write what`,
		},
		"a policy that nothing asks": {
			"dev", map[string]string{"podSecurity": "Audit"}, "podSecurity: is Audit, but nothing in the cluster asks Azure Policy",
		},
		"high availability of a burstable server": {
			"dev",
			map[string]string{"postgresHighAvailability": "SameZone"},
			"postgresHighAvailability: Azure has no high availability for Burstable servers",
		},
		"nobody reaches the API server": {
			"dev",
			map[string]string{"authorizedRanges": "[]"},
			"authorizedRanges: is empty, but these have public addresses: the API server (clusterPrivate), the key vault (vaultPrivate); list",
		},
		"everybody reaches the API server": {
			"dev", map[string]string{"authorizedRanges": `["0.0.0.0/0"]`}, "authorizedRanges: 0.0.0.0/0 is the whole internet",
		},
		"more ranges than the API server takes": {
			"dev",
			map[string]string{"authorizedRanges": `["198.51.100.7/32"` + strings.Repeat(`,"198.51.100.7/32"`, 199) + `]`},
			"authorizedRanges: has 200 ranges, but the API server takes 199 beside the addresses that nodes leave by",
		},
		"a range of IPv6": {
			"dev", map[string]string{"authorizedRanges": `["2001:db8::/32"]`}, `authorizedRanges: "2001:db8::/32" is not an IPv4 range`,
		},
		"no range": {
			"dev", map[string]string{"authorizedRanges": `["198.51.100.7"]`}, `authorizedRanges: "198.51.100.7" is not an IPv4 range`,
		},
		"a range with an address inside": {
			"dev", map[string]string{"authorizedRanges": `["198.51.100.7/24"]`}, `authorizedRanges: "198.51.100.7/24" is not an IPv4 range`,
		},
		"a private range is never seen from outside": {
			"dev", map[string]string{"authorizedRanges": `["10.1.0.0/16"]`}, "authorizedRanges: 10.1.0.0/16 is private",
		},
		"no certificate outside dev": {
			"test", map[string]string{"gatewayCertificate": ""}, "gatewayCertificate: is empty, but test serves HTTPS only",
		},
		"a gateway that shrinks as it grows": {
			"dev", map[string]string{"gatewayMinCapacity": "3"}, "gatewayMaxCapacity: 2 is less than gatewayMinCapacity 3",
		},
		"an administrator twice": {
			"dev",
			map[string]string{"postgresEntraAdmins": `[
				{"objectId": "11111111-1111-1111-1111-111111111111", "name": "a", "type": "User"},
				{"objectId": "11111111-1111-1111-1111-111111111111", "name": "a", "type": "User"}]`},
			"postgresEntraAdmins: 11111111-1111-1111-1111-111111111111 is listed twice",
		},
		"no group for the certificate": {
			"test",
			map[string]string{"gatewayCertificateResourceGroup": ""},
			"gatewayCertificateResourceGroup: is empty; name the resource group of the certificate's key vault",
		},
		"an administrator without a name": {
			"dev",
			map[string]string{"postgresEntraAdmins": `[{"objectId": "11111111-1111-1111-1111-111111111111", "type": "User"}]`},
			"postgresEntraAdmins: 11111111-1111-1111-1111-111111111111 has no name",
		},
		"an administrator who is no object": {
			"dev",
			map[string]string{"postgresEntraAdmins": `[{"objectId": "dba", "name": "dba", "type": "Group"}]`},
			`postgresEntraAdmins: "dba" is no GUID`,
		},
		"an administrator who is no principal": {
			"dev",
			map[string]string{"postgresEntraAdmins": `[{"objectId": "11111111-1111-1111-1111-111111111111", "name": "dba", "type": "Role"}]`},
			`postgresEntraAdmins: "Role" is not a type of principal`,
		},
		"more pipelines than an identity takes": {
			"dev",
			map[string]string{"pipelineSubjects": "[" + strings.Repeat(`"repo:g/g:environment:dev",`, 20) + `"repo:g/g:environment:dev"]`},
			"pipelineSubjects: has 21 subjects, but an identity takes 20",
		},
		"a group that is no object id": {
			"dev", map[string]string{"adminGroupObjectIds": `["admins"]`}, `adminGroupObjectIds: "admins" is no GUID`,
		},
		"one mistake in a range that others lie in": {
			"dev",
			map[string]string{
				"addressSpace": "10.10.0.0", "aksSubnet": "10.10.0.0/20", "gatewaySubnet": "10.10.16.0/24", "postgresSubnet": "10.10.17.0/24",
				"ingressSubnet": "10.10.18.0/24", "endpointsSubnet": "10.10.19.0/24",
			},
			`addressSpace: "10.10.0.0" is not`,
		},
		"a registry that cannot keep": {
			"dev",
			map[string]string{"registrySku": "Standard", "registryUntaggedDays": "1"},
			"registrySku: Standard lacks retention (registryUntaggedDays); set it to Premium",
		},
		"a registry that cannot be private": {
			"prod",
			map[string]string{"registrySku": "Standard"},
			"registrySku: Standard lacks zone redundancy (registryZoneRedundant), a private endpoint (registryPrivate), retention (registryUntaggedDays); set it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(test.stack, test.config)
			var mistakes *config.Error
			require.ErrorAs(t, err, &mistakes)
			require.Len(t, mistakes.Mistakes, 1, "%v", err)
			require.ErrorContains(t, mistakes.Mistakes[0], test.want)
			assert.Empty(t, recorded.Resources)
		})
	}
}

func TestUnit_WhatJustFitsIsTaken(t *testing.T) {
	t.Parallel()
	_, err := run("prod", map[string]string{"gatewaySubnet": "10.30.16.0/28", "gatewayMaxCapacity": "11"})
	require.NoError(t, err)
	_, err = run("dev", map[string]string{"authorizedRanges": `["198.51.100.7/32"` + strings.Repeat(`,"198.51.100.7/32"`, 198) + `]`})
	require.NoError(t, err)
}

// The names that Azure refuses (learn.microsoft.com, "Quickstart: Create an Azure Database for
// PostgreSQL flexible server", admin username; Azure/azure-cli, flexible_server,
// validate_and_format_args; 2026-11).
func TestUnit_LoginsThatAzureKeepsForItselfAreRefused(t *testing.T) {
	t.Parallel()
	for _, login := range []string{
		"azure_superuser", "azure_pg_admin", "admin", "administrator", "root", "guest", "public", "pg_monitor", "Gridos", "9lives", "",
	} {
		_, err := run("dev", map[string]string{"postgresAdminLogin": login})
		require.ErrorContains(t, err, "postgresAdminLogin: ", login)
	}
}

// Source: azure-aks-docs, istio-support-policy (15 May 2026).
func TestUnit_TheOldestAndNewestKubernetesOfARevisionGoWithIt(t *testing.T) {
	t.Parallel()
	for istio, minors := range map[int][2]int{25: {29, 33}, 26: {29, 34}, 27: {29, 35}, 28: {30, 35}, 29: {31, 36}, 30: {32, 36}} {
		for minor, goes := range map[int]bool{minors[0] - 1: false, minors[0]: true, minors[1]: true, minors[1] + 1: false} {
			_, err := program.Load(config.FromMap(stacks.Infra.Name, "dev", map[string]string{
				stacks.Infra.Name + ":istioRevisions":    fmt.Sprintf(`["asm-1-%d"]`, istio),
				stacks.Infra.Name + ":kubernetesVersion": fmt.Sprintf("1.%d", minor),
			}), "dev")
			require.Error(t, err, "what has no default is missing")
			refused := strings.Contains(err.Error(), fmt.Sprintf("asm-1-%d goes with Kubernetes 1.%d to 1.%d", istio, minors[0], minors[1]))
			assert.Equal(t, !goes, refused, "asm-1-%d and Kubernetes 1.%d: %v", istio, minor, err)
		}
	}
}

// An address is of one zone, of all or of none (learn.microsoft.com, "Public IP addresses in
// Azure", availability zone; 2026-11).
func TestUnit_NodesOfOneZoneLeaveByAnAddressOfAll(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{"zones": `["1"]`})
	require.NoError(t, err)
	found := 0
	for _, r := range recorded.OfType(address) {
		if !strings.Contains(r.Name, "gateway") {
			found++
			assert.Len(t, r.Inputs["zones"].ArrayValue(), 3)
		}
	}
	assert.Positive(t, found)
}

func TestUnit_WhatLiesInARangeThatAKSReservesIsRefusedByItsKey(t *testing.T) {
	t.Parallel()
	_, err := run("dev", map[string]string{"addressSpace": "172.31.0.0/16"})
	for _, key := range []string{"addressSpace", "aksSubnet", "gatewaySubnet", "postgresSubnet", "ingressSubnet", "endpointsSubnet"} {
		require.ErrorContains(t, err, "gridos-infra:"+key+": 172.31.", key)
	}
}

func TestUnit_ARegionWithoutZonesIsFineForWhatAsksForNone(t *testing.T) {
	t.Parallel()
	_, err := run("dev", map[string]string{"location": "westus", "zones": "[]", "gatewayZones": "[]"})
	if err != nil {
		assert.NotContains(t, err.Error(), "availability zones")
	}
	for _, key := range []string{"zones", "gatewayZones"} {
		settings := map[string]string{"location": "westus", "zones": "[]", "gatewayZones": "[]"}
		settings[key] = `["1"]`
		_, err = run("dev", settings)
		require.ErrorContains(t, err, "gridos-infra:"+key+": ")
	}
}

// Azure takes a change of the cluster's version only with the versions of all pools, or with none,
// and the program's request for the cluster has only one of two pools in it.
func TestUnit_NoPoolNamesAVersionOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, map[string]string{"kubernetesVersion": "1.36"})
			require.NoError(t, err)
			managed := recorded.OfType(cluster)[0].Inputs
			assert.Equal(t, "1.36", managed["kubernetesVersion"].StringValue())
			inline := managed["agentPoolProfiles"].ArrayValue()
			require.Len(t, inline, 1)
			assert.NotContains(t, inline[0].ObjectValue(), resource.PropertyKey("orchestratorVersion"))
			require.Len(t, recorded.OfType(pool), 1)
			assert.NotContains(t, recorded.OfType(pool)[0].Inputs, resource.PropertyKey("orchestratorVersion"))
		})
	}
}

// Each kind of work has a window, or Azure does it at any time; nodes are replaced for one reason
// at a time; and automatic upgrades reach dev and test days before prod.
func TestUnit_AzureWorksInWindowsThatAreStaggered(t *testing.T) {
	t.Parallel()
	const releases, kubernetes, nodes = "default", "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"
	taken := map[string]string{}
	for _, environment := range naming.Environments() {
		recorded, err := run(environment, nil)
		require.NoError(t, err)
		days := map[string]string{}
		for _, w := range recorded.OfType(maintenance) {
			window := w.Inputs["maintenanceWindow"].ObjectValue()
			day := window["schedule"].ObjectValue()["weekly"].ObjectValue()["dayOfWeek"].StringValue()
			days[w.Inputs["configName"].StringValue()] = day
			if other := taken[day]; other != "" {
				assert.Equal(t, environment, other, "%s is of two environments", day)
			}
			taken[day] = environment
			hours := window["durationHours"].NumberValue()
			assert.GreaterOrEqual(t, hours, map[string]float64{"dev": 4, "test": 4, "prod": 6}[environment], environment)
		}
		assert.ElementsMatch(t, []string{releases, kubernetes, nodes}, slices.Collect(maps.Keys(days)), environment)
		assert.NotEqual(t, days[kubernetes], days[nodes], environment)
	}
}

// Traffic from the cluster has addresses that partners can list. A change of the way out replaces
// the cluster, so each environment has its final one from the start.
func TestUnit_NodesLeaveByAddressesThatStay(t *testing.T) {
	t.Parallel()
	for environment, fixed := range map[string]int{"dev": 0, "test": 1, "prod": 2} {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, map[string]string{"operatorRanges": "[]", "authorizedRanges": `["198.51.100.7/32"]`})
			require.NoError(t, err)
			managed := recorded.OfType(cluster)[0].Inputs
			want := "loadBalancer"
			if fixed > 0 {
				want = "userAssignedNATGateway"
			}
			assert.Equal(t, want, managed["networkProfile"].ObjectValue()["outboundType"].StringValue())
			require.Len(t, recorded.OfType(natGateway), min(fixed, 1))

			var of []mocks.Resource
			for _, a := range recorded.OfType(address) {
				if strings.Contains(a.Name, "-egress-") {
					of = append(of, a)
				}
			}
			require.Len(t, of, fixed)
			for _, a := range of {
				assert.True(t, a.Protect, "%s is lost with the address", a.Name)
				assert.Len(t, a.Inputs["zones"].ArrayValue(), 3, "%s stays when a zone fails", a.Name)
			}
			for _, s := range recorded.OfType(subnet) {
				_, leaves := s.Inputs["natGateway"]
				assert.Equal(t, fixed > 0 && strings.HasSuffix(s.Name, "-aks"), leaves, s.Name)
			}
			// The nodes of a cluster that is not private reach its API server from these addresses.
			if environment == "test" {
				assert.Equal(t, []resource.PropertyValue{resource.NewStringProperty("198.51.100.7/32"), resource.NewStringProperty("203.0.113.1/32")},
					managed["apiServerAccessProfile"].ObjectValue()["authorizedIPRanges"].ArrayValue())
				addresses, ok := recorded.Exports["egressAddresses"].(pulumi.StringArrayOutput)
				require.True(t, ok)
				published := make(chan []string, 1)
				addresses.ApplyT(func(a []string) []string { published <- a; return a })
				assert.Equal(t, []string{"203.0.113.1"}, <-published)
			}
		})
	}
}

func TestUnit_NodesAreAsMicrosoftSupportsThem(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			managed := recorded.OfType(cluster)[0].Inputs
			system := managed["agentPoolProfiles"].ArrayValue()[0].ObjectValue()
			assert.GreaterOrEqual(t, system["minCount"].NumberValue(), 2.0, "fewest nodes of a system pool")
			assert.Greater(t, system["maxCount"].NumberValue(), system["minCount"].NumberValue(), "room for one more during an incident")
			assert.Regexp(t, `^Standard_D([4-9]|[1-9][0-9])ds_v5$`, system["vmSize"].StringValue(), "four processors and a local disk")
			for _, pool := range []resource.PropertyMap{system, recorded.OfType(pool)[0].Inputs} {
				assert.Equal(t, resource.NewProperty("Ephemeral"), pool["osDiskType"])
				assert.InDelta(t, 128, pool["osDiskSizeGB"].NumberValue(), 0)
				assert.Equal(t, environment != "dev", pool["enableEncryptionAtHost"].BoolValue())
			}
			assert.Equal(t, resource.NewProperty("least-waste"), mocks.PropertyAt(managed, "autoScalerProfile", "expander"))
			want := map[bool]string{true: "ReadOnly", false: "Unrestricted"}[environment != "prod"]
			assert.Equal(t, want, managed["nodeResourceGroupProfile"].ObjectValue()["restrictionLevel"].StringValue())
		})
	}
}

func TestUnit_TheMeshHasTheRevisionsThatAreConfigured(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                         {"asm-1-30"},
		`["asm-1-29"]`:             {"asm-1-29"},
		`["asm-1-29", "asm-1-30"]`: {"asm-1-29", "asm-1-30"},
		`["asm-1-31"]`:             {"asm-1-31"}, // newer than the table of what goes together
	} {
		overrides := map[string]string{}
		if text != "" {
			overrides["istioRevisions"] = text
		}
		recorded, err := run("test", overrides)
		require.NoError(t, err, text)
		revisions := mocks.PropertyAt(recorded.OfType(cluster)[0].Inputs, "serviceMeshProfile", "istio", "revisions")
		require.True(t, revisions.IsArray(), "Azure would choose the revision")
		var got []string
		for _, revision := range revisions.ArrayValue() {
			got = append(got, revision.StringValue())
		}
		assert.Equal(t, want, got)
	}
}

// Azure blocks zone-redundant servers in some regions and for some subscriptions: by default no
// environment is in such a region, and a configuration that chooses one gets a warning, not an
// error.
func TestUnit_ARegionThatMayRefuseTheStandbyIsAWarning(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		assert.Empty(t, program.Defaults(environment).Warnings(), environment)
	}
	s := program.Defaults("prod")
	s.Location = "westeurope"
	require.Len(t, s.Warnings(), 1)
	assert.Contains(t, s.Warnings()[0], "location: Azure blocks new zone-redundant PostgreSQL servers in westeurope")
	s.Database.HighAvailability = "SameZone"
	assert.Empty(t, s.Warnings(), "a standby in the same zone is not blocked")

	recorded, err := run("prod", map[string]string{"location": "westeurope"})
	require.NoError(t, err)
	assert.Len(t, recorded.OfType(server), 1)
}

// Source: learn.microsoft.com, "Configure a user-assigned managed identity to trust an external
// identity provider": 20.
func TestUnit_AsManyPipelinesAsAnIdentityTakesAreTaken(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{
		"pipelineSubjects": "[" + strings.Repeat(`"repo:g/g:environment:dev",`, 19) + `"repo:g/g:environment:dev"]`,
	})
	require.NoError(t, err)
	assert.NotEmpty(t, recorded.OfType(credential))
}

func TestUnit_WritesThatAzureRefusesAtOnceAreChained(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{
		"postgresEntraAdmins": `[{"objectId": "11111111-1111-1111-1111-111111111111", "name": "dba", "type": "Group"},
			{"objectId": "22222222-2222-2222-2222-222222222222", "name": "job", "type": "ServicePrincipal"}]`,
		"pipelineSubjects": `["repo:gridos/gridos:environment:dev", "repo:gridos@12/gridos@345:environment:dev"]`,
	})
	require.NoError(t, err)
	admins := recorded.OfType(admin)
	require.Len(t, admins, 2)
	assert.True(t, dependsOn(admins[0], "dev-database-server"))
	assert.True(t, dependsOn(admins[1], admins[0].Name))
	assert.True(t, dependsOn(recorded.OfType("azure-native:dbforpostgresql/v20240801:Database")[0], admins[1].Name))
	windows := recorded.OfType(maintenance)
	require.Len(t, windows, 3)
	assert.True(t, dependsOn(windows[0], "dev-cluster-user-pool"))
	assert.True(t, dependsOn(windows[1], windows[0].Name))
	assert.True(t, dependsOn(windows[2], windows[1].Name))
	var pipeline []mocks.Resource
	for _, c := range recorded.OfType(credential) {
		if strings.HasPrefix(c.Name, "dev-pipeline-") {
			pipeline = append(pipeline, c)
		}
	}
	require.Len(t, pipeline, 2)
	assert.True(t, dependsOn(pipeline[1], pipeline[0].Name))
}

// The identity of the pipeline may push what the environment runs: only jobs in the GitHub
// environment of its name may sign in as it.
func TestUnit_OnlyJobsOfTheEnvironmentPushItsImages(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			own := "repo:gridos@12/gridos@345:environment:" + environment
			for _, overrides := range []map[string]string{nil, {"pipelineSubjects": `["` + own + `"]`}} {
				recorded, err := run(environment, overrides)
				require.NoError(t, err)
				var subjects []string
				for _, c := range recorded.OfType(credential) {
					if c.Inputs["issuer"].StringValue() == "https://token.actions.githubusercontent.com" {
						assert.True(t, strings.HasPrefix(c.Name, environment+"-pipeline-"), "%s signs in from GitHub", c.Name)
						subjects = append(subjects, c.Inputs["subject"].StringValue())
					}
				}
				require.Len(t, subjects, 1)
				assert.Regexp(t, `^repo:[^:]+:environment:`+environment+`$`, subjects[0])
			}

			const another = "is of another GitHub environment"
			refused := map[string]string{
				"pull_request":                                 "is any pull request",
				"ref:refs/heads/main":                          "is any job of a branch or tag",
				"ref:refs/tags/v1":                             "is any job of a branch or tag",
				"ref:refs/heads/" + environment:                "is any job of a branch or tag",
				"environment:preview":                          another,
				"environment:not-" + environment:               another,
				"pull_request:environment:" + environment:      "is not the subject of a token from GitHub",
				"environment:" + environment + "2":             another,
				"environment:" + environment + ":pull_request": another,
				"environment:" + strings.ToUpper(environment):  another,
			}
			for _, other := range naming.Environments() {
				if other != environment {
					refused["environment:"+other] = another
				}
			}
			for holder, want := range refused {
				recorded, err := run(environment, map[string]string{"pipelineSubjects": `["` + own + `", "repo:g/g:` + holder + `"]`})
				var mistakes *config.Error
				require.ErrorAs(t, err, &mistakes, holder)
				require.Len(t, mistakes.Mistakes, 1, holder)
				require.ErrorContains(t, mistakes.Mistakes[0], "gridos-infra:pipelineSubjects: ")
				require.ErrorContains(t, mistakes.Mistakes[0], want)
				require.ErrorContains(t, mistakes.Mistakes[0], ":environment:"+environment, "the remedy")
				assert.Empty(t, recorded.Resources)
			}
		})
	}
}

func TestUnit_EveryResourceWithDiagnosticsIsWatched(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	watched := map[string]bool{}
	for _, d := range recorded.OfType(diagnostics) {
		watched[d.Inputs["resourceUri"].StringValue()] = true
	}
	for _, token := range []string{
		cluster, server, vault, registry, gateway, nsg,
		"azure-native:network/v20240501:VirtualNetwork", "azure-native:network/v20240501:PublicIPAddress",
		"azure-native:operationalinsights/v20230901:Workspace",
	} {
		for _, r := range recorded.OfType(token) {
			assert.True(t, watched[r.Name+"-id"], r.Name)
		}
	}
}

func TestUnit_OnlyWhatIsAuthorizedReachesAnAddress(t *testing.T) {
	t.Parallel()
	dev, err := run("dev", map[string]string{"authorizedRanges": `["198.51.100.7/32"]`})
	require.NoError(t, err)
	access := dev.OfType(cluster)[0].Inputs["apiServerAccessProfile"].ObjectValue()
	assert.Equal(t, "198.51.100.7/32", access["authorizedIPRanges"].ArrayValue()[0].StringValue())
	acls := dev.OfType(vault)[0].Inputs["properties"].ObjectValue()["networkAcls"].ObjectValue()
	assert.Equal(t, "Deny", acls["defaultAction"].StringValue())
	assert.Equal(t, "198.51.100.7/32", acls["ipRules"].ArrayValue()[0].ObjectValue()["value"].StringValue())

	prod, err := run("prod", map[string]string{"operatorRanges": `["192.168.0.0/16"]`})
	require.NoError(t, err)
	access = prod.OfType(cluster)[0].Inputs["apiServerAccessProfile"].ObjectValue()
	assert.True(t, access["enablePrivateCluster"].BoolValue())
	assert.NotContains(t, access, resource.PropertyKey("authorizedIPRanges"))
	assert.Equal(t, "Disabled", prod.OfType(registry)[0].Inputs["publicNetworkAccess"].StringValue())
	assert.Equal(t, "Disabled", prod.OfType(vault)[0].Inputs["properties"].ObjectValue()["publicNetworkAccess"].StringValue())
	for _, s := range prod.OfType(subnet) {
		want := "Disabled"
		if strings.HasSuffix(s.Name, "-endpoints") {
			want = "NetworkSecurityGroupEnabled" // or Azure would not apply the group to private endpoints
		}
		assert.Equal(t, want, s.Inputs["privateEndpointNetworkPolicies"].StringValue(), s.Name)
	}
	open := 0
	for _, group := range prod.OfType(nsg) {
		for _, rule := range group.Inputs["securityRules"].ArrayValue() {
			if rule.ObjectValue()["sourceAddressPrefix"].StringValue() == "192.168.0.0/16" {
				open++
			}
		}
	}
	assert.Equal(t, 2, open, "operators reach the API server among the nodes, and the private endpoints")
}

func TestUnit_ClientsAreServedByHTTPS(t *testing.T) {
	t.Parallel()
	recorded, err := run("test", nil)
	require.NoError(t, err)
	in := recorded.OfType(gateway)[0].Inputs
	assert.Equal(t, "https://gridos-platform-kv.vault.azure.net/secrets/test-gridos-tls",
		in["sslCertificates"].ArrayValue()[0].ObjectValue()["keyVaultSecretId"].StringValue())
	for _, rule := range in["requestRoutingRules"].ArrayValue() {
		listener := rule.ObjectValue()["httpListener"].ObjectValue()["id"].StringValue()
		_, serves := rule.ObjectValue()["backendAddressPool"]
		assert.Equal(t, strings.HasSuffix(listener, "/https"), serves, "only the HTTPS listener leads to the backend")
	}
	reader := slices.IndexFunc(recorded.OfType(role), func(r mocks.Resource) bool { return r.Name == "test-gateway-certificate-reader" })
	require.GreaterOrEqual(t, reader, 0)
	assert.Equal(t, "/subscriptions/s/resourceGroups/gridos-platform-rg/providers/Microsoft.KeyVault/vaults/gridos-platform-kv",
		recorded.OfType(role)[reader].Inputs["scope"].StringValue(), "the scope that Azure documents")
	assert.True(t, dependsOn(recorded.OfType(gateway)[0], "test-gateway-certificate-reader"))
}

func TestUnit_ConfiguredPrincipalsGetTheirRoles(t *testing.T) {
	t.Parallel()
	const deployer, group = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
	recorded, err := run("dev", map[string]string{
		"deployerObjectId": deployer, "deployerType": "ServicePrincipal", "adminGroupObjectIds": `["` + group + `"]`,
	})
	require.NoError(t, err)
	kinds := map[string]string{}
	for _, r := range recorded.OfType(role) {
		if strings.HasSuffix(r.Inputs["roleDefinitionId"].StringValue(), "/b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b") {
			kinds[r.Inputs["principalId"].StringValue()] = r.Inputs["principalType"].StringValue()
			assert.Equal(t, "dev-cluster-aks-id", r.Inputs["scope"].StringValue())
		}
	}
	assert.Equal(t, map[string]string{deployer: "ServicePrincipal", group: "Group"}, kinds, "who administers the cluster")
}

// docs/configuration.md says so; in tests nothing waits.
func TestUnit_ANewRoleIsWaitedForHalfAMinute(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		assert.Equal(t, 30*time.Second, program.Defaults(environment).Propagation, environment)
	}
}

func TestUnit_NobodyIsSignedIn(t *testing.T) {
	t.Parallel()
	recorded, err := mocks.Run{
		Project: stacks.Infra, Root: "../..", Stack: "dev",
		Failing: map[string]error{"azure-native:authorization:getClientConfig": errors.New("no credential")},
	}.Do(program.Program)
	require.ErrorContains(t, err, "Azure does not say who is signed in; run `az login`")
	assert.Empty(t, recorded.OfType("azure-native:resources/v20240301:ResourceGroup"))
}

func TestUnit_AnotherSubscriptionIsRefused(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{"subscriptionId": "11111111-1111-1111-1111-111111111111"})
	require.ErrorContains(t, err, "signed in to subscription s, but the stack is for 11111111-1111-1111-1111-111111111111; "+
		"run `az account set --subscription 11111111-1111-1111-1111-111111111111`")
	assert.Empty(t, recorded.OfType("azure-native:resources/v20240301:ResourceGroup"))
}

func base64(text string) string { return encoding.StdEncoding.EncodeToString([]byte(text)) }
