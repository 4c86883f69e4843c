package azure_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

const (
	vaultID        = group + "/providers/Microsoft.KeyVault/vaults/dev-gridos-kv"
	vaultZoneID    = group + "/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net"
	registryZoneID = group + "/providers/Microsoft.Network/privateDnsZones/privatelink.azurecr.io"
)

var registryInputs = in{
	"resourceGroupName": "rg", "registryName": "devgridosacr", "location": "westeurope", "sku": in{"name": "Premium"},
}

// endpoint returns a private endpoint in the subnet endpoints, which leads to a group of a
// resource.
func endpoint(name, target, groupID string) in {
	return in{
		"resourceGroupName": "rg", "privateEndpointName": name, "location": "westeurope", "subnet": in{"id": vnet + "/subnets/endpoints"},
		"privateLinkServiceConnections": []any{in{"name": name, "privateLinkServiceId": target, "groupIds": []any{groupID}}},
	}
}

func zoneGroup(owner, zone string) in {
	return in{
		"resourceGroupName": "rg", "privateEndpointName": owner, "privateDnsZoneGroupName": "default",
		"privateDnsZoneConfigs": []any{in{"name": "zone", "privateDnsZoneId": zone}},
	}
}

// withEndpoints creates a subnet for endpoints, a vault, a registry and their private DNS zones,
// the vault's with its link.
func (h *harness) withEndpoints() *harness {
	h.t.Helper()
	h.withNetwork()
	h.must(tokenSubnet, subnet("endpoints", "10.10.20.0/24", nil))
	h.must(tokenVault, vaultInputs)
	h.must(tokenRegistry, registryInputs)
	for _, zone := range []string{"privatelink.vaultcore.azure.net", "privatelink.azurecr.io"} {
		h.must(tokenZone, in{"resourceGroupName": "rg", "privateZoneName": zone, "location": "Global"})
	}
	h.must(tokenLink, in{
		"resourceGroupName": "rg", "privateZoneName": "privatelink.vaultcore.azure.net", "virtualNetworkLinkName": "vnet",
		"location": "Global", "registrationEnabled": false, "virtualNetwork": in{"id": vnet},
	})
	return h
}

func TestUnit_PrivateEndpoints(t *testing.T) {
	h := open(t, azure.Options{}).withEndpoints()
	endpointID, outputs := h.must(tokenEndpoint, endpoint("kv", vaultID, "vault"))
	config := outputs["customDnsConfigs"].ArrayValue()[0].ObjectValue()
	assert.Equal(t, "dev-gridos-kv.vault.azure.net", config["fqdn"].StringValue())
	assert.Equal(t, "10.10.20.4", config["ipAddresses"].ArrayValue()[0].StringValue(), "Azure keeps the first four addresses")
	assert.Len(t, outputs["networkInterfaces"].ArrayValue(), 1)

	_, records := h.must(tokenZoneGroup, zoneGroup("kv", vaultZoneID))
	record := records["privateDnsZoneConfigs"].ArrayValue()[0].ObjectValue()["recordSets"].ArrayValue()[0].ObjectValue()
	assert.Equal(t, "dev-gridos-kv.privatelink.vaultcore.azure.net", record["fqdn"].StringValue())
	require.ErrorContains(t, h.delete(tokenSubnet, vnet+"/subnets/endpoints"), endpointID)

	registryID := group + "/providers/Microsoft.ContainerRegistry/registries/devgridosacr"
	_, outputs = h.must(tokenEndpoint, endpoint("acr", registryID, "registry"))
	require.Len(t, outputs["customDnsConfigs"].ArrayValue(), 2, "a registry has an address for its data as well")
	assert.Equal(t, "10.10.20.6", outputs["customDnsConfigs"].ArrayValue()[1].ObjectValue()["ipAddresses"].ArrayValue()[0].StringValue())
	assert.Contains(t, h.refused(tokenZoneGroup, zoneGroup("acr", vaultZoneID)), "use privatelink.azurecr.io")
	assert.Contains(t, h.refused(tokenZoneGroup, zoneGroup("acr", registryZoneID)), "is not linked to '"+vnet+"'")
	assert.Contains(t, h.refused(tokenZoneGroup, with(zoneGroup("kv", vaultZoneID), in{"privateDnsZoneGroupName": "second"})), "rule N9")

	_, err := h.update(tokenEndpoint, endpointID, endpoint("kv", vaultID, "vault"), endpoint("kv", registryID, "registry"))
	require.ErrorContains(t, err, "cannot be changed")
	_, err = h.update(tokenRegistry, registryID, registryInputs, with(registryInputs, in{"sku": in{"name": "Standard"}}))
	require.ErrorContains(t, err, "rule N9", "the registry stays Premium")
}

func TestUnit_PrivateEndpointsThatAzureRefuses(t *testing.T) {
	registryID := group + "/providers/Microsoft.ContainerRegistry/registries/standardacr"
	h := open(t, azure.Options{}).withEndpoints()
	h.must(tokenRegistry, with(registryInputs, in{"registryName": "standardacr", "sku": in{"name": "Standard"}}))
	h.must(tokenNetwork, with(networkInputs, in{"virtualNetworkName": "north", "location": "northeurope"}))
	h.must(tokenSubnet, subnet("a", "10.10.1.0/24", in{"virtualNetworkName": "north"}))
	h.must(tokenSubnet, subnet("pg", "10.10.30.0/24", in{
		"delegations": []any{in{"name": "pg", "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}},
	}))
	good := endpoint("kv", vaultID, "vault")
	for want, inputs := range map[string]in{
		"needs subnet.id":              with(good, in{"subnet": nil}),
		"exactly one connection":       with(good, in{"privateLinkServiceConnections": nil}),
		"exactly one group id":         with(good, in{"privateLinkServiceConnections": []any{in{"name": "kv", "privateLinkServiceId": vaultID}}}),
		"use vault":                    endpoint("kv", vaultID, "registry"),
		"need SKU Premium":             endpoint("acr", registryID, "registry"),
		"no private endpoint of":       endpoint("vnet", vnet, "vault"),
		"is delegated to":              with(good, in{"subnet": in{"id": vnet + "/subnets/pg"}}),
		"use one region for both":      with(good, in{"subnet": in{"id": vnet[:len(vnet)-4] + "north/subnets/a"}}),
		"was not found":                with(good, in{"subnet": in{"id": vnet + "/subnets/none"}}),
		"LinkedInvalidPropertyId":      with(good, in{"subnet": in{"id": vnet}}),
		"has at most 140 characters":   with(good, in{"privateLinkServiceConnections": []any{with(good["privateLinkServiceConnections"].([]any)[0].(in), in{"requestMessage": string(make([]byte, 141))})}}),
		"privateEndpointName is missi": with(good, in{"privateEndpointName": nil}),
	} {
		assert.Contains(t, h.refused(tokenEndpoint, inputs), want)
	}
	h.must(tokenEndpoint, good)
}

func TestUnit_MaintenanceConfigurations(t *testing.T) {
	h := open(t, azure.Options{})
	h.withCluster()
	window := in{"durationHours": 4, "startTime": "01:00", "utcOffset": "+01:00", "schedule": in{"weekly": in{"dayOfWeek": "Sunday", "intervalWeeks": 1}}}
	upgrades := in{
		"resourceGroupName": "rg", "resourceName": "dev-gridos-aks", "configName": "aksManagedAutoUpgradeSchedule", "maintenanceWindow": window,
	}
	h.must(tokenMaintained, upgrades)
	nodes := with(upgrades, in{"configName": "aksManagedNodeOSUpgradeSchedule"})
	changed := func(changes in) in { return with(nodes, in{"maintenanceWindow": with(window, changes)}) }
	for want, inputs := range map[string]in{
		"use default, aksManagedAuto":               with(upgrades, in{"configName": "weekly"}),
		"needs a maintenanceWindow":                 with(nodes, in{"maintenanceWindow": nil}),
		"neither timeInWeek nor":                    with(nodes, in{"timeInWeek": []any{in{"day": "Sunday", "hourSlots": []any{1}}}}),
		"durationHours is 3; it must be 4 at least": changed(in{"durationHours": 3}),
		"not 2": changed(in{"schedule": in{"daily": in{"intervalDays": 1}, "weekly": in{"dayOfWeek": "Sunday", "intervalWeeks": 1}}}),
		"not 0": changed(in{"schedule": in{}}),
		"intervalWeeks is 5; it must be 4 at most": changed(in{"schedule": in{"weekly": in{"dayOfWeek": "Sunday", "intervalWeeks": 5}}}),
		"dayOfWeek is 'sun'; use Sunday":           changed(in{"schedule": in{"weekly": in{"dayOfWeek": "sun", "intervalWeeks": 1}}}),
		"use First, Second, Third, Fourth, Last":   changed(in{"schedule": in{"relativeMonthly": in{"dayOfWeek": "Sunday", "intervalMonths": 1, "weekIndex": "Fifth"}}}),
		"write it as HH:MM":                        changed(in{"startTime": "1:00"}),
		"write it as YYYY-MM-DD":                   changed(in{"startDate": "soon"}),
		"write it as +HH:MM":                       changed(in{"utcOffset": "1"}),
		"either timeInWeek or maintenance":         with(nodes, in{"configName": "default", "maintenanceWindow": nil}),
	} {
		assert.Contains(t, h.refused(tokenMaintained, inputs), want)
	}
	h.must(tokenMaintained, nodes)
	h.must(tokenMaintained, with(nodes, in{"configName": "default", "maintenanceWindow": nil, "timeInWeek": []any{in{"day": "Sunday", "hourSlots": []any{1, 2}}}}))
}

func TestUnit_DiagnosticSettings(t *testing.T) {
	h := open(t, azure.Options{}).withGateway()
	h.must(tokenGateway, gatewayInputs)
	h.must(tokenVault, vaultInputs)
	h.must(tokenIdentity, identityInputs)
	workspaceID, _ := h.must(tokenWorkspace, in{"resourceGroupName": "rg", "workspaceName": "dev-gridos-log", "location": "westeurope"})
	setting := func(target string, changes in) in {
		return with(in{"name": "logs", "resourceUri": target, "workspaceId": workspaceID, "logs": []any{in{"categoryGroup": "allLogs", "enabled": true}}}, changes)
	}
	metrics := in{"metrics": []any{in{"category": "AllMetrics", "enabled": true}}}
	for want, inputs := range map[string]in{
		"Category 'AuditEvent' is not supported for type 'Microsoft.Network/applicationGateways'": setting(gatewayID, in{"logs": []any{in{"category": "AuditEvent", "enabled": true}}}),
		"Category group 'audit' is not":    setting(gatewayID, in{"logs": []any{in{"categoryGroup": "audit", "enabled": true}}}),
		"which has no metrics":             setting(nsgID, metrics),
		"use AllMetrics":                   setting(gatewayID, in{"metrics": []any{in{"category": "Errors", "enabled": true}}}),
		"does not support diagnostic":      setting(identityID, nil),
		"at least one data sink":           setting(gatewayID, in{"workspaceId": nil}),
		"cannot be mixed":                  setting(vaultID, in{"logs": []any{in{"categoryGroup": "audit", "enabled": true}, in{"category": "AuditEvent", "enabled": true}}}),
		"LinkedInvalidPropertyId":          setting(gatewayID, in{"workspaceId": vaultID}),
		"logAnalyticsDestinationType is":   setting(gatewayID, in{"logAnalyticsDestinationType": "Own"}),
		"set either category or":           setting(vaultID, in{"logs": []any{in{"enabled": true}}}),
		"was not found":                    setting(clusterID, nil),
		"sends nothing; set one":           setting(vaultID, in{"logs": nil}),
		"/workspaces/none' was not found.": setting(vaultID, in{"workspaceId": group + "/providers/Microsoft.OperationalInsights/workspaces/none"}),
	} {
		assert.Contains(t, h.refused(tokenDiagnostic, inputs), want)
	}
	for _, target := range []string{gatewayID, vaultID, vnet, addressID, workspaceID} {
		h.must(tokenDiagnostic, setting(target, metrics))
	}
	h.must(tokenDiagnostic, setting(nsgID, nil))
	assert.Contains(t, h.refused(tokenDiagnostic, setting(vaultID, in{"name": "again"})), "is already used in diagnostic setting")
	assert.Contains(t, h.refused(tokenDiagnostic, setting(vaultID, nil)), "already existing resource")
}

func TestUnit_MaintenanceConfigurationsAreWrittenOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock is simulated
		var atOnce time.Duration
		h := open(t, azure.Options{TimeScale: 1, RolePropagation: &atOnce})
		h.withCluster()
		weekly := in{
			"resourceGroupName": "rg", "resourceName": "dev-gridos-aks", "configName": "default",
			"timeInWeek": []any{in{"day": "Sunday", "hourSlots": []any{1}}},
		}
		done := make(chan error, 1)
		go func() {
			_, _, err := h.create(t.Context(), tokenMaintained, weekly)
			done <- err
		}()
		synctest.Wait() // the first operation is under way
		assert.Contains(t, h.refused(tokenPool, poolInputs), "OperationNotAllowed")
		require.NoError(t, <-done)
		h.must(tokenPool, poolInputs)
	})
}
