// Package endpoint gives an Azure service an address in the virtual network, and its name there.
package endpoint

import (
	"fmt"

	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/privatedns"
	"github.com/gridos/sharedinfra/infra/scope"
)

// Service is a kind of Azure service that has private endpoints.
type Service struct {
	// Group is the part of the service that the endpoint leads to, and Zone the private DNS zone of
	// its names. Source: "Azure Private Endpoint private DNS zone values".
	Group, Zone string
}

// The services that the platform makes private.
var (
	// KeyVault is a key vault.
	KeyVault = Service{Group: "vault", Zone: "privatelink.vaultcore.azure.net"}
	// Registry is a container registry, of SKU Premium.
	Registry = Service{Group: "registry", Zone: "privatelink.azurecr.io"}
)

// Args is what an Endpoint needs. Every field is required, but for OperatorNetworkID.
type Args struct {
	scope.Scope
	// Name is the endpoint's name in Azure.
	Name    string
	Service Service
	// TargetID is the ARM id of the resource that the endpoint leads to.
	TargetID pulumi.StringInput
	// SubnetID is the ARM id of the subnet that the endpoint's address is in, NetworkID that of the
	// network whose hosts look names up, NetworkName its name.
	SubnetID, NetworkID pulumi.StringInput
	NetworkName         string
	// OperatorNetworkID is the ARM id of the network from which people and pipelines look names up, or
	// "".
	OperatorNetworkID string
	// NetworkSettled is what the endpoint waits for: Azure refuses it while it works on a subnet of
	// the network (rule N10).
	NetworkSettled pulumi.Resource
}

// Endpoint is a private endpoint with its DNS zone.
type Endpoint struct {
	pulumi.ResourceState

	// Path is what makes the service reachable by its name: the records of the endpoint, and the links
	// of the zone.
	Path []pulumi.Resource
}

// New registers the endpoint, the zone, the zone's link to the network and the endpoint's records
// in the zone.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Endpoint, error) {
	e := &Endpoint{}
	if err := ctx.RegisterComponentResource("gridos-infra:endpoint:Endpoint", name, e, opts...); err != nil {
		return nil, err
	}
	if err := e.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("private endpoint %s: %w", args.Name, err)
	}
	return e, ctx.RegisterResourceOutputs(e, pulumi.Map{})
}

func (e *Endpoint) provision(ctx *pulumi.Context, name string, args Args) error {
	endpoint, err := azure.NewPrivateEndpoint(ctx, name+"-endpoint", &azure.PrivateEndpointArgs{
		ResourceGroupName:   args.ResourceGroupName,
		PrivateEndpointName: pulumi.String(args.Name),
		Location:            pulumi.String(args.Location),
		Subnet:              azure.SubnetTypeArgs{Id: args.SubnetID},
		// Azure names the network interface with a random suffix otherwise.
		CustomNetworkInterfaceName: pulumi.String(args.Name + "-nic"),
		PrivateLinkServiceConnections: azure.PrivateLinkServiceConnectionArray{azure.PrivateLinkServiceConnectionArgs{
			Name:                 pulumi.String(args.Name),
			PrivateLinkServiceId: args.TargetID,
			GroupIds:             pulumi.StringArray{pulumi.String(args.Service.Group)},
		}},
		Tags: args.Tags,
	}, pulumi.Parent(e), pulumi.DependsOn([]pulumi.Resource{args.NetworkSettled}))
	if err != nil {
		return err
	}
	zone, err := privatedns.New(ctx, name, privatedns.Args{
		Zone: args.Service.Zone, NetworkID: args.NetworkID, NetworkName: args.NetworkName,
		OperatorNetworkID: args.OperatorNetworkID, Scope: args.Scope,
	}, pulumi.Parent(e))
	if err != nil {
		return err
	}
	records, err := azure.NewPrivateDnsZoneGroup(ctx, name+"-records", &azure.PrivateDnsZoneGroupArgs{
		ResourceGroupName:       args.ResourceGroupName,
		PrivateEndpointName:     endpoint.Name,
		PrivateDnsZoneGroupName: pulumi.String("default"),
		PrivateDnsZoneConfigs: azure.PrivateDnsZoneConfigArray{azure.PrivateDnsZoneConfigArgs{
			Name:             pulumi.String(args.Service.Group),
			PrivateDnsZoneId: zone.ID,
		}},
	}, pulumi.Parent(e), pulumi.DependsOn([]pulumi.Resource{zone.Link}))
	e.Path = append([]pulumi.Resource{records}, zone.Links...)
	return err
}
