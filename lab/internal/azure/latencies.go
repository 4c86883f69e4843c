package azure

import "time"

// durations are realistic times for a type; Options.TimeScale scales them. An update takes half of a create.
type durations struct {
	create, delete time.Duration
}

// latencies are how long Azure takes, by ARM type. docs/azure-latencies.md has the same figures with their sources.
var latencies = map[string]durations{
	"Microsoft.Resources/resourceGroups": {2 * time.Second, 15 * time.Second},

	typeNetwork: {5 * time.Second, 5 * time.Second},
	typeSubnet:  {5 * time.Second, 5 * time.Second},
	"Microsoft.Network/networkSecurityGroups":                            {4 * time.Second, 4 * time.Second},
	"Microsoft.Network/publicIPAddresses":                                {4 * time.Second, 10 * time.Second},
	"Microsoft.Network/privateDnsZones":                                  {30 * time.Second, 10 * time.Second},
	"Microsoft.Network/privateDnsZones/virtualNetworkLinks":              {30 * time.Second, 30 * time.Second},
	"Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies": {5 * time.Second, 5 * time.Second},
	typeGateway:         {6 * time.Minute, 3 * time.Minute},
	typePrivateEndpoint: {75 * time.Second, 30 * time.Second},
	typePrivateEndpoint + "/privateDnsZoneGroups": {15 * time.Second, 15 * time.Second},

	typeCluster: {5 * time.Minute, 4 * time.Minute},
	typePool:    {150 * time.Second, 2 * time.Minute},
	typeCluster + "/maintenanceConfigurations": {5 * time.Second, 5 * time.Second},

	typeServer:                     {5 * time.Minute, 2 * time.Minute},
	typeServer + "/databases":      {15 * time.Second, 15 * time.Second},
	typeServer + "/configurations": {15 * time.Second, 0},
	typeServer + "/administrators": {30 * time.Second, 30 * time.Second},

	typeIdentity:       {5 * time.Second, 5 * time.Second},
	typeCredential:     {4 * time.Second, 4 * time.Second},
	typeRoleAssignment: {3 * time.Second, 3 * time.Second},

	"Microsoft.KeyVault/vaults":              {20 * time.Second, 10 * time.Second},
	"Microsoft.KeyVault/vaults/secrets":      {3 * time.Second, 3 * time.Second},
	"Microsoft.ContainerRegistry/registries": {15 * time.Second, 10 * time.Second},

	"Microsoft.OperationalInsights/workspaces": {30 * time.Second, 10 * time.Second},
	"Microsoft.Insights/diagnosticSettings":    {5 * time.Second, 5 * time.Second},
}

// latency returns how long Azure takes for an operation on a resource of an ARM type.
func latency(kind string, verb Operation) time.Duration {
	d := latencies[kind]
	switch verb {
	case OperationCreate:
		return d.create
	case OperationUpdate:
		return d.create / 2
	case OperationDelete:
		return d.delete
	default:
		return 0
	}
}
