// Package privatedns creates private DNS zones whose names the hosts of a virtual network look up.
package privatedns

import (
	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240601"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Args is what a zone needs. Every field is required.
type Args struct {
	// Zone is the name of the zone, such as privatelink.azurecr.io.
	Zone string
	// NetworkID is the ARM id of the network whose hosts look names up, NetworkName its name.
	NetworkID         pulumi.StringInput
	NetworkName       string
	ResourceGroupName pulumi.StringInput
	Tags              pulumi.StringMap
}

// Zone is a private DNS zone with its link to a network.
type Zone struct {
	// ID is the zone's ARM id.
	ID pulumi.StringOutput
	// Link is what makes the zone's names known in the network. Azure checks for nobody that it exists: who needs the names
	// depends on it (rule N5).
	Link pulumi.Resource
}

// New registers the zone <name>-zone and its link <name>-zone-link.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (Zone, error) {
	zone, err := azure.NewPrivateZone(ctx, name+"-zone", &azure.PrivateZoneArgs{
		ResourceGroupName: args.ResourceGroupName,
		PrivateZoneName:   pulumi.String(args.Zone),
		Location:          pulumi.String("Global"), // explicit: Azure's default is not (rule N5)
		Tags:              args.Tags,
	}, opts...)
	if err != nil {
		return Zone{}, err
	}
	link, err := azure.NewVirtualNetworkLink(ctx, name+"-zone-link", &azure.VirtualNetworkLinkArgs{
		ResourceGroupName:      args.ResourceGroupName,
		PrivateZoneName:        zone.Name,
		VirtualNetworkLinkName: pulumi.String(args.NetworkName),
		Location:               pulumi.String("Global"),
		RegistrationEnabled:    pulumi.Bool(false),
		VirtualNetwork:         azure.SubResourceArgs{Id: args.NetworkID},
		Tags:                   args.Tags,
	}, opts...)
	if err != nil {
		return Zone{}, err
	}
	return Zone{ID: zone.ID().ToStringOutput(), Link: link}, nil
}
