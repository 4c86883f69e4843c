// Package network creates the virtual network: its subnets, each with a network security group, and
// the private DNS zone of the database.
package network

import (
	"fmt"

	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/privatedns"
	"github.com/gridos/sharedinfra/infra/scope"
)

// Args is what a Network needs. Every field is required.
type Args struct {
	scope.Scope
	Plan Plan
	// SubscriptionID is the GUID of the environment's subscription.
	SubscriptionID string
	// VaultEndpoint lets the nodes reach a key vault's public address from their own addresses, so
	// that the vault can distinguish them from others.
	VaultEndpoint bool
	// Egress is the nodes' way out of the network, AddressZones the zones of the public addresses on
	// it: all, or none where the region has none.
	Egress       EgressSettings
	AddressZones []string
}

// Network is the virtual network of one environment.
type Network struct {
	pulumi.ResourceState

	// ID is the ARM id of the virtual network.
	ID pulumi.StringOutput
	// AKSSubnetID, GatewaySubnetID, PostgresSubnetID and EndpointsSubnetID are ARM ids of subnets.
	AKSSubnetID, GatewaySubnetID, PostgresSubnetID, EndpointsSubnetID pulumi.StringOutput
	// PostgresZoneID is the ARM id of the database's private DNS zone.
	PostgresZoneID pulumi.StringOutput
	// EgressAddresses are the public addresses that the nodes leave the network with, where these are
	// the environment's own.
	EgressAddresses pulumi.StringArray
	// PostgresZoneLink makes the zone's names known in the network: without it the server's name does
	// not resolve (rule N5).
	PostgresZoneLink pulumi.Resource
	// Settled is the last operation on the network. While Azure works on one subnet, it refuses
	// changes of resources in all of them (rule N10). So resources in a subnet depend on Settled, and
	// not only on their subnet. A teardown deletes them before any part of the network.
	Settled pulumi.Resource
}

// New registers the network.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Network, error) {
	n := &Network{}
	if err := ctx.RegisterComponentResource("gridos-infra:network:Network", name, n, opts...); err != nil {
		return nil, err
	}
	if err := n.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{
		"id":                n.ID,
		"aksSubnetId":       n.AKSSubnetID,
		"gatewaySubnetId":   n.GatewaySubnetID,
		"postgresSubnetId":  n.PostgresSubnetID,
		"postgresZoneId":    n.PostgresZoneID,
		"endpointsSubnetId": n.EndpointsSubnetID,
		"egressAddresses":   n.EgressAddresses,
	})
}

func (n *Network) provision(ctx *pulumi.Context, name string, args Args) error {
	// The subnets are resources of their own; since API version 2023-09-01 a PUT of the virtual
	// network that omits them does not change them.
	vnet, err := azure.NewVirtualNetwork(ctx, name+"-vnet", &azure.VirtualNetworkArgs{
		ResourceGroupName:  args.ResourceGroupName,
		VirtualNetworkName: pulumi.String(args.Names.VirtualNetwork),
		Location:           pulumi.String(args.Location),
		AddressSpace: azure.AddressSpaceArgs{
			AddressPrefixes: pulumi.StringArray{pulumi.String(args.Plan.AddressSpace.String())},
		},
		Tags: args.Tags,
	}, pulumi.Parent(n), pulumi.Protect(args.Protect))
	if err != nil {
		return err
	}
	n.ID = vnet.ID().ToStringOutput()
	if err := args.Diagnostics.Watch(ctx, name+"-vnet", n.ID, scope.LogsAndMetrics, pulumi.Parent(n)); err != nil {
		return err
	}

	var way *Egress
	n.EgressAddresses = pulumi.StringArray{}
	if args.Egress.Way == NATGateway {
		if way, err = newEgress(ctx, name+"-egress", args, pulumi.Parent(n)); err != nil {
			return err
		}
		n.EgressAddresses = way.Addresses
	}
	subnets, err := n.subnets(ctx, name, vnet, way, args)
	if err != nil {
		return err
	}
	n.AKSSubnetID = subnets["aks"].ID().ToStringOutput()
	n.GatewaySubnetID = subnets["appgw"].ID().ToStringOutput()
	n.PostgresSubnetID = subnets["postgres"].ID().ToStringOutput()
	n.EndpointsSubnetID = subnets["endpoints"].ID().ToStringOutput()
	if err := n.peer(ctx, name, vnet, args); err != nil {
		return err
	}
	return n.zone(ctx, name, args)
}

func (n *Network) subnets(
	ctx *pulumi.Context, name string, vnet *azure.VirtualNetwork, way *Egress, args Args,
) (map[string]*azure.Subnet, error) {
	subnets := map[string]*azure.Subnet{}
	var previous []pulumi.Resource
	for _, p := range purposes(args.Plan, args.VaultEndpoint) {
		group, err := azure.NewNetworkSecurityGroup(ctx, name+"-"+p.name+"-nsg", &azure.NetworkSecurityGroupArgs{
			ResourceGroupName:        args.ResourceGroupName,
			NetworkSecurityGroupName: pulumi.String(args.Names.SecurityGroup(p.name)),
			Location:                 pulumi.String(args.Location),
			SecurityRules:            p.securityRules(),
			Tags:                     args.Tags,
		}, pulumi.Parent(n))
		if err != nil {
			return nil, err
		}
		err = args.Diagnostics.Watch(ctx, name+"-"+p.name+"-nsg", group.ID().ToStringOutput(), scope.Logs, pulumi.Parent(n))
		if err != nil {
			return nil, err
		}
		subnetArgs := &azure.SubnetArgs{
			ResourceGroupName:    args.ResourceGroupName,
			VirtualNetworkName:   vnet.Name,
			SubnetName:           pulumi.String(p.subnet),
			AddressPrefix:        pulumi.String(p.prefix.String()),
			NetworkSecurityGroup: azure.NetworkSecurityGroupTypeArgs{Id: group.ID().ToStringOutput()},
		}
		if p.leaves && way != nil {
			subnetArgs.NatGateway = azure.SubResourceArgs{Id: way.GatewayID}
		}
		if p.delegation != "" {
			subnetArgs.Delegations = azure.DelegationArray{azure.DelegationArgs{
				Name:        pulumi.String(p.name),
				ServiceName: pulumi.String(p.delegation),
			}}
		}
		if p.privateEndpoints {
			const byGroup = azure.VirtualNetworkPrivateEndpointNetworkPoliciesNetworkSecurityGroupEnabled
			subnetArgs.PrivateEndpointNetworkPolicies = pulumi.String(byGroup)
		}
		if len(p.endpoints) > 0 {
			endpoints := make(azure.ServiceEndpointPropertiesFormatArray, len(p.endpoints))
			for i, service := range p.endpoints {
				endpoints[i] = azure.ServiceEndpointPropertiesFormatArgs{Service: pulumi.String(service)}
			}
			subnetArgs.ServiceEndpoints = endpoints
		}
		// Azure works on one subnet of a virtual network at a time and refuses a second with
		// AnotherOperationInProgress (pulumi-azure-native issue 699), so they form a chain.
		subnet, err := azure.NewSubnet(ctx, name+"-"+p.name, subnetArgs, pulumi.Parent(n), pulumi.DependsOn(previous))
		if err != nil {
			return nil, err
		}
		subnets[p.name] = subnet
		previous, n.Settled = []pulumi.Resource{subnet}, subnet
	}
	return subnets, nil
}

func (n *Network) zone(ctx *pulumi.Context, name string, args Args) error {
	zone, err := privatedns.New(ctx, name+"-postgres", privatedns.Args{
		Zone: args.Names.PostgresZone, NetworkID: n.ID, NetworkName: args.Names.VirtualNetwork,
		OperatorNetworkID: args.Plan.OperatorNetwork.ID, Scope: args.Scope,
	}, pulumi.Parent(n))
	if err != nil {
		return err
	}
	n.PostgresZoneID = zone.ID
	n.PostgresZoneLink = zone.Link
	return nil
}
