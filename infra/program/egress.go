package program

import (
	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"

	"github.com/gridos/sharedinfra/infra/network"
)

// outboundType is what AKS calls the nodes' way out of the network.
func (s Settings) outboundType() containerservice.OutboundType {
	if s.Egress.Way == network.NATGateway {
		return containerservice.OutboundTypeUserAssignedNATGateway
	}
	return containerservice.OutboundTypeLoadBalancer
}

// addressZones are the zones of the addresses that the nodes are seen with. An address is of one
// zone, of all or of none.
func (s Settings) addressZones() []string {
	if len(s.Cluster.Zones) == 0 {
		return nil
	}
	return []string{"1", "2", "3"}
}
