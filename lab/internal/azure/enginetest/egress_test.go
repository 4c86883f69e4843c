package enginetest

import (
	"testing"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

const natID = groupID + "/providers/Microsoft.Network/natGateways/nat"

// leaving is the valid environment with a NAT gateway for the nodes, and the gateway's arguments.
func leaving() (*environment, *network.NatGatewayArgs) {
	gateway := &network.NatGatewayArgs{
		ResourceGroupName: groupName, NatGatewayName: pulumi.String("nat"), Location: region,
		Sku:                  network.NatGatewaySkuArgs{Name: pulumi.String("Standard")},
		IdleTimeoutInMinutes: pulumi.Int(4),
		PublicIpAddresses:    network.SubResourceArray{network.SubResourceArgs{Id: pulumi.String(addressID)}},
	}
	e := valid()
	e.nodes.NatGateway = network.SubResourceArgs{Id: pulumi.String(natID)}
	e.clusterNetwork.OutboundType = pulumi.String("userAssignedNATGateway")
	e.first = append(e.first,
		of("address", e.address, network.NewPublicIPAddress, "group"),
		of("nat", gateway, network.NewNatGateway, "address"),
	)
	e.needs = map[string][]string{"nodes": {"nat"}}
	return e, gateway
}

func TestEngine_N13_NodesLeaveByANATGateway(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	e, _ := leaving()
	l.up(e.program("pool")).accepted()
	again, _ := leaving()
	l.up(again.program("pool")).accepted()
	l.down().accepted()
	require.Empty(t, l.cloud.Inventory())
}

func TestEngine_N13_TheSubnetHasTheNATGatewayFirst(t *testing.T) {
	t.Parallel()
	e := valid()
	e.clusterNetwork.OutboundType = pulumi.String("userAssignedNATGateway")
	upRefuses(t, e, mistake{
		rule: "N13", code: "BadRequest", property: "networkProfile.outboundType",
		says: []string{"outboundType is userAssignedNATGateway, but subnet '" + nodesID + "' has no NAT gateway", "give it one first"},
	}, "cluster")
}

func TestEngine_N13_TheNodesKeepTheirNATGateway(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	e, _ := leaving()
	l.up(e.program("cluster")).accepted()
	without, _ := leaving()
	without.nodes.NatGateway = nil
	l.preview(without.program("cluster")).refused(mistake{
		resource: "nodes", rule: "N13", code: "BadRequest", property: "natGateway",
		says: []string{"the nodes of '" + clusterID + "' leave by the NAT gateway of '" + nodesID, "do not take it away"},
	})
}

func TestEngine_N13_ANATGatewayIsInOneZoneAtMost(t *testing.T) {
	t.Parallel()
	e, gateway := leaving()
	gateway.Zones = pulumi.ToStringArray([]string{"1", "2"})
	previewRefuses(t, e, "nat", mistake{
		rule: "N13", code: "InvalidNatGateway", property: "zones", says: []string{"is in one zone, not in 1, 2", "name one or none"},
	})
}

func TestEngine_N13_TheAddressIsOfTheZone(t *testing.T) {
	t.Parallel()
	e, gateway := leaving()
	gateway.Zones = pulumi.ToStringArray([]string{"1"})
	upRefuses(t, e, mistake{
		rule: "N13", code: "InvalidNatGateway", property: "publicIpAddresses[0].id",
		says: []string{"address '" + addressID + "' is not of zone 1", "use one of that zone, or one of all zones"},
	}, "nat")
}

// AKS knows the addresses of its own load balancer only.
func TestEngine_K7_NodesMayCallTheAPIServer(t *testing.T) {
	t.Parallel()
	e, _ := leaving()
	e.cluster.ApiServerAccessProfile = containerservice.ManagedClusterAPIServerAccessProfileArgs{
		AuthorizedIPRanges: pulumi.ToStringArray([]string{"198.51.100.7/32"}),
	}
	upRefuses(t, e, mistake{
		rule: "K7", code: "K8SAPIServerConnFailVMExtensionError", property: "apiServerAccessProfile.authorizedIPRanges",
		says: []string{"Agents are unable to talk to API server", "the address of '" + addressID + "', which is in none of the ranges"},
	}, "cluster")
}
