package network

import (
	"fmt"

	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/config"
)

// Ways out of the network for the nodes.
const (
	// NATGateway is a NAT gateway of the environment's own with addresses that stay.
	NATGateway = "natGateway"
	// LoadBalancer is the cluster's own load balancer with an address that AKS chooses.
	LoadBalancer = "loadBalancer"
)

// mostEgressAddresses is how many addresses a NAT gateway has at most. Source: azure-docs,
// nat-gateway-resource (10 July 2023).
const mostEgressAddresses = 16

// EgressSettings is the configuration of the nodes' way out.
type EgressSettings struct {
	// Way is NATGateway or LoadBalancer. It is decided once: azure-native replaces the cluster for a
	// change of its network profile.
	Way string
	// Addresses is how many public addresses a NAT gateway has; each brings 64,512 ports.
	Addresses int
}

// LoadEgress reads EgressSettings with the defaults d, recording mistakes in r.
func LoadEgress(r *config.Reader, d EgressSettings) EgressSettings {
	return EgressSettings{
		Way:       r.OneOf("egress", d.Way, NATGateway, LoadBalancer),
		Addresses: r.IntBetween("egressAddresses", d.Addresses, 1, mostEgressAddresses),
	}
}

// Egress is the nodes' way out: a NAT gateway with its addresses. It lets in only answers to
// connections that begin inside.
type Egress struct {
	pulumi.ResourceState

	// GatewayID is the ARM id of the NAT gateway, for the subnets that leave by it.
	GatewayID pulumi.StringOutput
	// Addresses are the public addresses that the nodes are seen with.
	Addresses pulumi.StringArray
}

// newEgress registers the way out.
//
// The program names no zone for the gateway: a gateway of the SKU Standard is always in one zone,
// and Azure chooses it here. Its addresses are redundant over zones where the region has zones
// (rule N13; docs/design/0011-egress.md).
func newEgress(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Egress, error) {
	e := &Egress{}
	if err := ctx.RegisterComponentResource("gridos-infra:network:Egress", name, e, opts...); err != nil {
		return nil, err
	}
	var ids azure.SubResourceArray
	for number := 1; number <= args.Egress.Addresses; number++ {
		part := fmt.Sprintf("%s-%d", name, number)
		address, err := azure.NewPublicIPAddress(ctx, part, &azure.PublicIPAddressArgs{
			ResourceGroupName:        args.ResourceGroupName,
			PublicIpAddressName:      pulumi.String(args.Names.EgressAddress(number)),
			Location:                 pulumi.String(args.Location),
			PublicIPAddressVersion:   pulumi.String(azure.IPVersionIPv4),
			PublicIPAllocationMethod: pulumi.String(azure.IPAllocationMethodStatic),
			Sku:                      azure.PublicIPAddressSkuArgs{Name: pulumi.String(azure.PublicIPAddressSkuNameStandard)},
			Zones:                    pulumi.ToStringArray(args.AddressZones),
			Tags:                     args.Tags,
			// Partners have the address in their allow lists, and a deleted address cannot be had
			// again.
		}, pulumi.Parent(e), pulumi.Protect(args.Protect))
		if err != nil {
			return nil, err
		}
		id := address.ID().ToStringOutput()
		if err := args.Diagnostics.Watch(ctx, part, id, scope.LogsAndMetrics, pulumi.Parent(e)); err != nil {
			return nil, err
		}
		ids = append(ids, azure.SubResourceArgs{Id: id})
		e.Addresses = append(e.Addresses, address.IpAddress.Elem())
	}
	gateway, err := azure.NewNatGateway(ctx, name+"-nat", &azure.NatGatewayArgs{
		ResourceGroupName: args.ResourceGroupName,
		NatGatewayName:    pulumi.String(args.Names.NATGateway),
		Location:          pulumi.String(args.Location),
		Sku:               azure.NatGatewaySkuArgs{Name: pulumi.String(azure.NatGatewaySkuNameStandard)},
		// A longer timeout keeps the ports of connections that have ended (azure-docs,
		// nat-gateway-resource).
		IdleTimeoutInMinutes: pulumi.Int(4),
		PublicIpAddresses:    ids,
		Tags:                 args.Tags,
	}, pulumi.Parent(e))
	if err != nil {
		return nil, err
	}
	e.GatewayID = gateway.ID().ToStringOutput()
	return e, ctx.RegisterResourceOutputs(e, pulumi.Map{"gatewayId": e.GatewayID, "addresses": e.Addresses})
}
