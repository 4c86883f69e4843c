// Package services has the services of the simulated Azure. Each resource type is an arm.Definition.
// Beside it are pure functions: the rules that Azure enforces and the outputs that Azure computes.
// Rule ids such as N3 are those of docs/azure-rules.md, which has their sources; a rule's comment
// says what it demands.
package services

import (
	"slices"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// New returns all services. The given Kubernetes stands behind AKS. Without it nodes are ignored and
// asking for credentials fails.
func New(kubernetes Kubernetes) arm.Services {
	k := behind{kubernetes}
	return arm.Services{
		Definitions: slices.Concat(
			groupTypes(), networkTypes(), gatewayTypes(), dnsTypes(), privateLinkTypes(), clusterTypes(k), maintenanceTypes(), databaseTypes(),
			vaultTypes(), registryTypes(), monitoringTypes(), identityTypes(),
		),
		Functions: clusterFunctions(k),
		Latency:   latency,
	}
}
