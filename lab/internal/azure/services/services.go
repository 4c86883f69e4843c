// Package services has the services of the simulated Azure. Each resource type is an
// arm.Definition. Beside it are pure functions: the rules that Azure enforces and the outputs that
// Azure computes. Rule ids such as N3 are those of docs/azure-rules.md, which has their sources; a
// rule's comment says what it demands.
package services

import (
	"slices"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
	"github.com/gridos/sharedinfra/lab/internal/azure/schema"
)

// Options say how the services behave.
type Options struct {
	// Kubernetes is the implementation behind AKS. Without it nodes are ignored, and asking for
	// credentials fails.
	Kubernetes Kubernetes
	// StrictCounts refuses a request whose number of nodes differs from that of an autoscaled pool.
	// Without it the request sets the number.
	StrictCounts bool
}

// New returns all services.
func New(options Options) arm.Services {
	k := behind{options.Kubernetes, options.StrictCounts}
	return arm.Services{
		Definitions: lockable(specified(tagged(slices.Concat(
			groupTypes(), networkTypes(), gatewayTypes(), dnsTypes(), privateLinkTypes(), clusterTypes(k), maintenanceTypes(), databaseTypes(),
			vaultTypes(), registryTypes(), monitoringTypes(), collectionTypes(), alertTypes(), budgetTypes(), identityTypes(), governanceTypes(),
		)))),
		Beforehand:  []arm.Definition{metricsWorkspace()},
		Functions:   clusterFunctions(k),
		Latency:     latency,
		Unfulfilled: unfulfilled,
	}
}

// specified adds the rules of Azure's specifications for its requests to each type. This package
// has only the rules that the specifications lack.
func specified(definitions []arm.Definition) []arm.Definition {
	for i := range definitions {
		if t := schema.Of(definitions[i].Kind); t != nil {
			definitions[i].Checks = append(definitions[i].Checks, t.Rule(definitions[i].Checks))
		}
	}
	return definitions
}
