package network

import (
	"fmt"
	"regexp"
	"strings"

	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	azurenative "github.com/pulumi/pulumi-azure-native-sdk/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
)

// OperatorNetwork is a virtual network of other owners, from which people and pipelines reach
// resources without a public address. Its zero value is none.
type OperatorNetwork struct {
	// ID is the ARM id of the network, made of the three others.
	ID string
	// SubscriptionID, ResourceGroup and Name say where it is.
	SubscriptionID, ResourceGroup, Name string
}

// Configured says whether there is one.
func (o OperatorNetwork) Configured() bool { return o.ID != "" }

var networkID = regexp.MustCompile(
	`(?i)^/subscriptions/([0-9a-f-]{36})/resourceGroups/([^/]+)/providers/Microsoft\.Network/virtualNetworks/([^/]+)$`)

const keyOperatorNetwork = "operatorNetworkId"

func loadOperatorNetwork(r *config.Reader) OperatorNetwork {
	id := r.String(keyOperatorNetwork, "")
	if id == "" {
		return OperatorNetwork{}
	}
	parts := networkID.FindStringSubmatch(id)
	if parts == nil {
		r.Check(keyOperatorNetwork, fmt.Errorf("%q is not the id of a virtual network; write what "+
			"`az network vnet show --query id` prints, "+
			"/subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.Network/virtualNetworks/<network>", id))
		return OperatorNetwork{}
	}
	return OperatorNetwork{ID: id, SubscriptionID: parts[1], ResourceGroup: parts[2], Name: parts[3]}
}

// peer registers both sides of the peering with the operators' network, after the last subnet:
// Azure works on one part of a network at a time. The second side is a resource of the operators'
// network and may be in another subscription.
func (n *Network) peer(ctx *pulumi.Context, name string, vnet *azure.VirtualNetwork, args Args) error {
	operators := args.Plan.OperatorNetwork
	if !operators.Configured() {
		return nil
	}
	ours, err := azure.NewVirtualNetworkPeering(ctx, name+"-operators-peering", &azure.VirtualNetworkPeeringArgs{
		ResourceGroupName:         args.ResourceGroupName,
		VirtualNetworkName:        vnet.Name,
		VirtualNetworkPeeringName: pulumi.String("operators"),
		RemoteVirtualNetwork:      azure.SubResourceArgs{Id: pulumi.String(operators.ID)},
		AllowVirtualNetworkAccess: pulumi.Bool(true),
	}, pulumi.Parent(n), pulumi.DependsOn([]pulumi.Resource{n.Settled}))
	if err != nil {
		return err
	}
	provider := pulumi.Composite()
	if !strings.EqualFold(operators.SubscriptionID, args.SubscriptionID) { // ARM ids are compared without case
		elsewhere, err := azurenative.NewProvider(ctx, name+"-operators-azure", &azurenative.ProviderArgs{
			SubscriptionId: pulumi.String(operators.SubscriptionID),
		}, pulumi.Parent(n), pulumi.Version(versions.AzureNative))
		if err != nil {
			return err
		}
		provider = pulumi.Provider(elsewhere)
	}
	theirs, err := azure.NewVirtualNetworkPeering(ctx, name+"-operators-peering-back", &azure.VirtualNetworkPeeringArgs{
		ResourceGroupName:         pulumi.String(operators.ResourceGroup),
		VirtualNetworkName:        pulumi.String(operators.Name),
		VirtualNetworkPeeringName: pulumi.String(args.Names.Environment + "-" + naming.Application),
		RemoteVirtualNetwork:      azure.SubResourceArgs{Id: n.ID},
		AllowVirtualNetworkAccess: pulumi.Bool(true),
	}, pulumi.Parent(n), pulumi.DependsOn([]pulumi.Resource{ours}), provider)
	if err != nil {
		return err
	}
	n.Settled = theirs
	return nil
}
