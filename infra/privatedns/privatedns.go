// Package privatedns creates private DNS zones whose names the hosts of a virtual network look up.
package privatedns

import (
	"strings"

	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240601"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
)

// Args is what a zone needs. Every field is required, but for OperatorNetworkID.
type Args struct {
	scope.Scope
	// Zone is the name of the zone, such as privatelink.azurecr.io.
	Zone string
	// NetworkID is the ARM id of the network whose hosts look names up, NetworkName its name.
	NetworkID   pulumi.StringInput
	NetworkName string
	// OperatorNetworkID is the ARM id of the network from which people and pipelines look names up, or
	// "". Azure links a network to one zone of a name only (rule N5).
	OperatorNetworkID string
}

// Zone is a private DNS zone with its link to a network.
type Zone struct {
	// ID is the zone's ARM id.
	ID pulumi.StringOutput
	// Link is what makes the zone's names known in the network. Azure does not check that it exists,
	// so resources that need the names depend on it (rule N5).
	Link pulumi.Resource
	// Links are all links of the zone. Azure does not delete a zone that has one (rule N11): the
	// program owns them, and deletes them first.
	Links []pulumi.Resource
}

// New registers the zone <name>-zone, its link <name>-zone-link and, for operators,
// <name>-zone-operators-link.
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
	links := []struct {
		suffix, name string
		networkID    pulumi.StringInput
	}{{"-zone-link", args.NetworkName, args.NetworkID}}
	if args.OperatorNetworkID != "" {
		links = append(links, struct {
			suffix, name string
			networkID    pulumi.StringInput
		}{"-zone-operators-link", "operators", pulumi.String(args.OperatorNetworkID)})
	}
	out := Zone{ID: zone.ID().ToStringOutput()}
	for _, l := range links {
		linkArgs := &azure.VirtualNetworkLinkArgs{
			ResourceGroupName:      args.ResourceGroupName,
			PrivateZoneName:        zone.Name,
			VirtualNetworkLinkName: pulumi.String(l.name),
			Location:               pulumi.String("Global"),
			RegistrationEnabled:    pulumi.Bool(false),
			VirtualNetwork:         azure.SubResourceArgs{Id: l.networkID},
			Tags:                   args.Tags,
		}
		if strings.HasPrefix(args.Zone, privatelink) {
			// The zone has only resources of the environment. Other resources of the same kind,
			// such as the vault of the certificate, have no record in it, and without this policy
			// their names do not resolve in the network. With it Azure looks them up in public DNS.
			// Source: azure-docs, dns/private-dns-fallback.md.
			linkArgs.ResolutionPolicy = pulumi.String(azure.ResolutionPolicyNxDomainRedirect)
		}
		link, err := azure.NewVirtualNetworkLink(ctx, name+l.suffix, linkArgs, opts...)
		if err != nil {
			return Zone{}, err
		}
		out.Links = append(out.Links, link)
	}
	out.Link = out.Links[0]
	return out, nil
}

// privatelink begins the names of the zones of private endpoints, the only ones with a fallback.
const privatelink = "privatelink."
