package services

import (
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// durations are realistic times for a type; Options.TimeScale scales them. An update takes half of
// a create.
type durations struct {
	create, delete time.Duration
}

// minutes reads better beside the table in docs/azure-latencies.md, which is in minutes, than
// seconds do.
func minutes(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }

// latencies are how long Azure takes, by ARM type. docs/azure-latencies.md has the same figures
// with their sources.
var latencies = map[string]durations{
	"Microsoft.Resources/resourceGroups": {minutes(0.05), minutes(0.5)},

	typeNetwork: {minutes(0.1), minutes(0.2)},
	typeSubnet:  {minutes(0.1), minutes(0.2)},
	typePeering: {minutes(0.1), minutes(0.2)},
	"Microsoft.Network/networkSecurityGroups":                            {minutes(0.1), minutes(0.2)},
	"Microsoft.Network/publicIPAddresses":                                {minutes(0.1), minutes(0.2)},
	typeNATGateway:                                                       {minutes(0.1), minutes(0.2)},
	"Microsoft.Network/privateDnsZones":                                  {minutes(0.5), minutes(0.2)},
	"Microsoft.Network/privateDnsZones/virtualNetworkLinks":              {minutes(0.5), minutes(0.5)},
	typePrivateEndpoint:                                                  {minutes(1), minutes(0.5)},
	typePrivateEndpoint + "/privateDnsZoneGroups":                        {minutes(0.2), minutes(0.2)},
	"Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies": {minutes(0.1), minutes(0.2)},
	typeGateway: {minutes(7.5), minutes(6.5)},

	typeCluster: {minutes(4.5), minutes(4.5)},
	typePool:    {minutes(2), minutes(1)},
	typeCluster + "/maintenanceConfigurations": {minutes(0.05), minutes(0.05)},

	typeServer:                     {minutes(5), minutes(2)},
	typeServer + "/databases":      {minutes(0.25), minutes(0.25)},
	typeServer + "/configurations": {minutes(0.25), 0},
	typeServer + "/administrators": {minutes(0.3), minutes(0.3)},

	typeIdentity:       {minutes(0.1), minutes(0.1)},
	typeCredential:     {minutes(0.1), minutes(0.1)},
	typeRoleAssignment: {minutes(0.05), minutes(0.05)},

	typeLock:             {minutes(0.05), minutes(0.05)},
	typePolicyAssignment: {minutes(0.05), minutes(0.05)},

	"Microsoft.KeyVault/vaults":              {minutes(0.5), minutes(0.2)},
	"Microsoft.KeyVault/vaults/secrets":      {minutes(0.05), minutes(0.05)},
	"Microsoft.ContainerRegistry/registries": {minutes(0.4), minutes(0.2)},

	"Microsoft.OperationalInsights/workspaces": {minutes(0.5), minutes(0.2)},
	"Microsoft.Insights/diagnosticSettings":    {minutes(0.1), minutes(0.1)},

	typeCollectionRule: {minutes(0.1), minutes(0.1)},
	typeAssociation:    {minutes(0.1), minutes(0.1)},
	typeQueryPack:      {minutes(0.1), minutes(0.1)},
	typeQuery:          {minutes(0.1), minutes(0.1)},

	typeActionGroup:      {minutes(0.1), minutes(0.1)},
	typeMetricAlert:      {minutes(0.1), minutes(0.1)},
	typeActivityLogAlert: {minutes(0.1), minutes(0.1)},
	typeEndpoint:         {minutes(0.1), minutes(0.1)},
	typeBudget:           {minutes(0.1), minutes(0.1)},
}

// variant is a kind of resource for which Azure takes longer or shorter than its type says.
type variant struct {
	// name is its name in docs/azure-latencies.md, in parentheses after the type.
	name string
	is   func(inputs arm.Document) bool
	durations
}

// variants are those kinds, by ARM type; the first match counts.
var variants = map[string][]variant{
	typeServer: {{"zone-redundant", func(inputs arm.Document) bool {
		return strings.EqualFold(inputs.Text("highAvailability.mode"), "ZoneRedundant")
	}, durations{minutes(10), minutes(3)}}},
}

// latency returns how long Azure takes for an operation on a resource of an ARM type with these
// inputs.
func latency(kind string, verb arm.Operation, inputs arm.Document) time.Duration {
	d := latencies[kind]
	for _, v := range variants[kind] {
		if v.is(inputs) {
			d = v.durations
			break
		}
	}
	switch verb {
	case arm.OperationCreate:
		return d.create
	case arm.OperationUpdate:
		return d.create / 2
	case arm.OperationDelete:
		return d.delete
	default:
		return 0
	}
}
