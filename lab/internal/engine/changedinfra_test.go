package engine

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	networks        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/hub-rg/providers/Microsoft.Network/virtualNetworks/"
	metricsAccounts = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/hub-rg/providers/Microsoft.Monitor/accounts/"
	somebody        = "11111111-1111-1111-1111-111111111111"
	another         = "22222222-2222-2222-2222-222222222222"
)

// liveInfra brings gridos-infra up with values, and again with those that Azure accepts only for a
// live environment.
func liveInfra(t *testing.T, environment string, values, later map[string]any) *living {
	t.Helper()
	propagation := 300 * time.Millisecond
	e, cloud := newEngineFor(t, environment, azure.Options{Kubernetes: standIn{}, RolePropagation: &propagation})
	existing := []azure.Existing{azure.ExistingGroup("hub-rg", "francecentral")}
	for name, prefix := range map[string]string{"hub": "10.100.0.0/16", "other": "10.101.0.0/16"} {
		existing = append(existing, azure.Existing{Type: typeNetwork, Inputs: map[string]any{
			"resourceGroupName": "hub-rg", "virtualNetworkName": name, "location": "francecentral",
			"addressSpace": map[string]any{"addressPrefixes": []any{prefix}},
		}})
	}
	for _, name := range []string{"watch", "another"} {
		existing = append(existing, azure.ExistingMetricsWorkspace("hub-rg", name, "francecentral"))
	}
	if environment != "dev" {
		existing = append(existing, azure.ExistingSecret("gridos-platform-rg", "gridos-platform-kv", "another-tls"))
	}
	require.NoError(t, cloud.Seed(existing...))
	values = maps.Clone(values)
	values["rolePropagation"] = "400ms"
	l := raise(t, e, partOf(t, stacks.Infra), values)
	if len(later) > 0 {
		maps.Copy(l.values, later)
		require.NoError(t, l.run(t, l.values, upOperation(nil)))
	}
	return l
}

// devValues are dev's values, with storage that can shrink, a sender that can be removed, and
// alerts.
func devValues() map[string]any {
	return map[string]any{
		"postgresStorageGb": 64, "ingestSenders": []string{"north", "south"}, "alertEmails": []string{"oncall@gridos.internal"},
	}
}

// prodValues are prod's values, with an operators' network and an administrator, and without the
// protections that would hide Azure's behaviour.
func prodValues() map[string]any {
	return map[string]any{
		"protect": false, "deleteLock": false, "registryZoneRedundant": false,
		"operatorNetworkId": networks + "hub", "operatorRanges": []string{"10.100.0.0/16"},
		"postgresEntraAdmins": admins("admins"), "adminGroupObjectIds": []string{somebody},
		"monthlyBudget": 9000, "budgetFrom": "2026-12-01", "metricsWorkspaceId": metricsAccounts + "watch",
	}
}

// prodLater are the values that Azure accepts only for an existing server.
func prodLater() map[string]any { return map[string]any{"postgresMaintenanceDay": "Sunday"} }

func admins(name string) []map[string]string {
	return []map[string]string{{"objectId": somebody, "name": name, "type": "Group"}}
}

// httpsOnly is the one of dev's two waivers that is not about the registry.
func httpsOnly(reason string) map[string]string {
	return map[string]string{"rule": "https-only", "resource": "dev-gateway-agw", "reason": reason}
}

func public(resource string) map[string]string {
	return map[string]string{"rule": "no-public-endpoint", "resource": resource, "reason": "to see what happens"}
}

const (
	keepsUsed  = "keep it, or move what uses it to another subnet first"
	keepsPool  = "create a new pool"
	keepsZones = "keep them, or create another resource"
)

func devAttempts() []attempt {
	standard := map[string]any{"postgresSkuName": "Standard_D2ds_v5"}
	subnets := map[string]any{
		"aksSubnet": "10.10.0.0/20", "gatewaySubnet": "10.10.16.0/24", "postgresSubnet": "10.10.17.0/24",
		"ingressSubnet": "10.10.18.0/24", "endpointsSubnet": "10.10.19.0/24",
	}
	return []attempt{
		{key: "location", to: "northeurope"},
		{key: "nameSuffix", to: "eu"},
		{key: "subscriptionId", to: somebody, says: "az account set"},
		{key: "owner", to: "others"},
		{key: "costCentre", to: "another"},
		{key: "protect", to: true},
		{key: "deleteLock", to: true},
		{key: "podSecurity", to: "Audit", with: map[string]any{"azurePolicy": true}},
		{key: "deployerObjectId", to: somebody},
		{key: "deployerType", when: "with deployerObjectId", to: "Group", with: map[string]any{"deployerObjectId": somebody}},
		{key: "deployerType", when: "alone", to: "Group", says: "name the other principal too"},
		{key: "rolePropagation", to: "500ms"},
		{key: "addressSpace", when: "wider, with the subnets written out as they are", to: "10.10.0.0/15", with: subnets},
		{key: "addressSpace", when: "another", to: "10.50.0.0/16", says: "keep its range or delete it first"},
		{key: "aksSubnet", to: "10.10.32.0/20", says: keepsUsed},
		{key: "gatewaySubnet", to: "10.10.32.0/24", says: keepsUsed},
		{key: "postgresSubnet", to: "10.10.32.0/24", says: keepsUsed},
		{key: "ingressSubnet", to: "10.10.32.0/24"},
		{key: "endpointsSubnet", when: "empty", to: "10.10.33.0/24"},
		{key: "podCidr", to: "10.240.0.0/16"},
		{key: "serviceCidr", to: "10.100.0.0/16"},
		{key: "egress", when: "to natGateway", to: "natGateway"},
		{key: "authorizedRanges", to: []string{"198.51.100.0/24"}},
		{
			key: "operatorNetworkId", when: "the first one", to: networks + "hub",
			with: map[string]any{"operatorRanges": []string{"10.100.0.0/16"}},
		},
		{key: "kubernetesVersion", when: "newer", to: "1.36"},
		{key: "kubernetesVersion", when: "older", to: "1.34", says: "keep the version"},
		{key: "upgradeChannel", to: "none"},
		{key: "nodeOsUpgradeChannel", to: "SecurityPatch"},
		{key: "istioRevisions", when: "a second one", to: []string{"asm-1-30", "asm-1-31"}},
		{key: "istioRevisions", when: "another at once", to: []string{"asm-1-31"}, says: "run both first"},
		{key: "maintenanceStart", to: "03:00"},
		{key: "maintenanceHours", to: 6},
		{key: "releaseDay", to: "Sunday"},
		{key: "nodeImageDay", to: "Sunday"},
		{key: "kubernetesDay", to: "Friday"},
		{key: "clusterTier", to: "Standard"},
		{key: "clusterDnsPrefix", to: "another"},
		{key: "clusterPrivate", to: true, says: "private from the start or never"},
		{key: "systemPoolName", to: "system2", says: "add it with `az aks nodepool add` first"},
		{key: "systemPoolVmSize", to: "Standard_D8ds_v5", says: keepsPool},
		{key: "systemPoolMin", to: 3},
		{key: "systemPoolMax", to: 5},
		{key: "userPoolVmSize", to: "Standard_D8ds_v5"},
		{key: "userPoolMin", to: 2},
		{key: "userPoolMax", to: 6},
		{key: "maxPods", to: 60, says: keepsPool},
		{key: "zones", to: []string{"1", "2"}, says: keepsPool},
		{key: "osDiskType", to: "Managed", says: keepsPool},
		{key: "osDiskSizeGb", to: 100, says: keepsPool},
		{key: "encryptionAtHost", to: true, says: keepsPool},
		{key: "nodeGroupLockdown", to: false},
		{key: "azurePolicy", to: true},
		{key: "defender", to: true},
		{key: "adminGroupObjectIds", when: "one more", to: []string{somebody}},
		{key: "kubeloginMode", to: "spn"},
		{key: "registrySku", when: "larger", to: "Premium"},
		{
			key: "registryPrivate", when: "on", to: true, apart: true,
			with: map[string]any{"registrySku": "Premium", "policyWaivers": []any{httpsOnly("dev has no certificate")}},
		},
		{key: "vaultPurgeProtection", when: "on", to: true},
		{key: "vaultSoftDeleteDays", to: 30, says: "keep 7"},
		{key: "vaultPrivate", when: "on", to: true, apart: true},
		{key: "ingestSenders", when: "one more", to: []string{"north", "south", "west"}},
		{key: "ingestSenders", when: "one less", to: []string{"north"}},
		{key: "postgresVersion", when: "newer", to: "17"},
		{key: "postgresVersion", when: "older", to: "15"},
		{key: "postgresSkuName", to: "Standard_B2ms", apart: true},
		{key: "postgresSkuTier", to: "GeneralPurpose", with: standard},
		{key: "postgresStorageGb", when: "more", to: 128},
		{key: "postgresStorageGb", when: "less", to: 32, says: "keep 64"},
		{key: "postgresAutoGrow", to: true, apart: true},
		{key: "postgresMaintenanceDay", to: "Sunday"},
		{key: "postgresBackupDays", to: 20},
		{key: "postgresGeoBackup", to: true},
		{key: "postgresAdminLogin", to: "another"},
		{key: "postgresEntraAdmins", when: "one more", to: admins("admins")},
		{key: "gatewayMinCapacity", to: 0},
		{key: "gatewayMaxCapacity", to: 4},
		{key: "gatewayZones", to: []string{"1", "2", "3"}, says: keepsZones},
		{key: "firewallMaxBodyKb", to: 1500},
		{key: "firewallRequestsPerMinute", to: 100},
		{key: "logRetentionDays", to: 60},
		{key: "logDailyCapGb", to: 4},
		{key: "podLogNamespaces", when: "others", to: []string{"gridos", "reports"}},
		{key: "podLogNamespaces", when: "none", to: []string{}},
		{key: "alertEmails", when: "another, or one more", to: []string{"others@gridos.internal", "oncall@gridos.internal"}},
		{key: "alertEmails", when: "none", to: []string{}},
		{key: "alertWebhook", to: secret("https://hooks.gridos.example/alerts")},
		{key: "policyWaivers", when: "another reason", to: []any{httpsOnly("another reason than before"), public("dev-registry-registry")}},
		{
			key: "policyWaivers", when: "one that permits nothing", says: "remove the waiver",
			to: []any{httpsOnly("dev has no certificate"), public("dev-registry-registry"), public("dev-vault-vault")},
		},
	}
}

func prodAttempts() []attempt {
	ranges := []string{"198.51.100.0/24"}
	const subject, vault = "repo:gridos/sharedinfra:environment:prod", "https://gridos-platform-kv.vault.azure.net/secrets/"
	return []attempt{
		{key: "egress", when: "to loadBalancer", to: "loadBalancer", says: "do not take it away"},
		{key: "egressAddresses", when: "more", to: 3},
		{key: "egressAddresses", when: "fewer", to: 1},
		{key: "operatorRanges", to: []string{"10.100.0.0/16", "10.101.0.0/16"}},
		{key: "operatorNetworkId", when: "another", to: networks + "other", says: "create another peering"},
		{key: "operatorNetworkId", when: "none", to: ""},
		{key: "endpointsSubnet", when: "with a private endpoint", to: "10.30.32.0/24", says: keepsUsed},
		{key: "adminGroupObjectIds", when: "one less", to: []string{}},
		{
			key: "registrySku", when: "smaller, with what only Premium has", to: "Standard",
			says: "set it to Premium, or do without",
		},
		{
			key: "registrySku", when: "smaller, and the private endpoint goes", to: "Standard", says: "delete the endpoint first",
			with: map[string]any{
				"registryPrivate": false, "registryUntaggedDays": 0, "policyWaivers": []any{public("prod-registry-registry")},
			},
		},
		{key: "registryZoneRedundant", to: true},
		{
			key: "registryPrivate", when: "off", to: false,
			with: map[string]any{"policyWaivers": []any{public("prod-registry-registry")}},
		},
		{key: "registryUntaggedDays", to: 10},
		{key: "pipelineSubjects", when: "one more", to: []string{subject, "repo:gridos/other:environment:prod"}},
		{key: "pipelineSubjects", when: "one less", to: []string{}},
		{key: "vaultPurgeProtection", when: "off", to: false, says: "keep it on"},
		{key: "vaultPrivate", when: "off", to: false, with: map[string]any{"authorizedRanges": ranges}},
		{key: "postgresStorageGb", when: "with postgresAutoGrow", to: 512},
		{key: "postgresMaintenanceStart", to: "04:00"},
		{key: "postgresHighAvailability", to: "SameZone"},
		{key: "postgresEntraAdmins", when: "one less", to: []any{}},
		{key: "postgresEntraAdmins", when: "another name or type", to: admins("others")},
		{key: "gatewayCertificate", when: "another of the vault", to: vault + "another-tls"},
		{key: "gatewayCertificate", when: "of another vault", to: "https://other-kv.vault.azure.net/secrets/tls"},
		{key: "gatewayCertificateResourceGroup", to: "another-rg"},
		{key: "metricsWorkspaceId", when: "another", to: metricsAccounts + "another"},
		{key: "metricsWorkspaceId", when: "none", to: ""},
		{key: "monthlyBudget", when: "another amount", to: 12000},
		{key: "monthlyBudget", when: "0", to: 0},
		{key: "budgetFrom", to: "2027-01-01"},
	}
}
