// Package gateway creates the Application Gateway with its web application firewall. The gateway is
// owned here as a whole: no controller in the cluster writes to it, so an update never erases
// another writer's changes (rule G7).
package gateway

import (
	"fmt"
	"time"

	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/config"
)

// Settings is the configuration of the gateway.
type Settings struct {
	// MinCapacity and MaxCapacity bound the gateway's autoscaling, in capacity units' instances.
	MinCapacity, MaxCapacity int
	// Zones are the availability zones that the gateway and its address spread over; empty means none.
	Zones []string
	// Certificate is the Key Vault address of the certificate that clients see, or "" for plain HTTP.
	Certificate Certificate
	// Firewall decides which requests the gateway lets through.
	Firewall Firewall
}

// maxInstances is what Azure allows an autoscaled v2 gateway.
const maxInstances = 125

// Load reads Settings with the defaults d, recording mistakes in r. Only in dev may clients be
// served without a certificate.
func Load(r *config.Reader, d Settings, environment string) Settings {
	s := Settings{
		MinCapacity: r.IntBetween("gatewayMinCapacity", d.MinCapacity, 0, maxInstances),
		MaxCapacity: r.IntBetween("gatewayMaxCapacity", d.MaxCapacity, 2, maxInstances),
		Zones:       r.Strings("gatewayZones", d.Zones),
		Certificate: loadCertificate(r, d.Certificate, environment),
		Firewall:    loadFirewall(r, d.Firewall),
	}
	if s.MaxCapacity > 0 && s.MinCapacity > s.MaxCapacity {
		r.Check("gatewayMaxCapacity", fmt.Errorf("%d is less than gatewayMinCapacity %d; raise it", s.MaxCapacity, s.MinCapacity))
	}
	return s
}

// Args is what a Gateway needs. Every field is required.
type Args struct {
	scope.Scope
	Settings Settings
	// SubscriptionID is the GUID of the subscription, to spell the ids of the gateway's own parts.
	SubscriptionID string
	// SubnetID is the ARM id of the gateway's subnet.
	SubnetID pulumi.StringInput
	// NetworkSettled is what the gateway waits for: Azure refuses it while it works on a subnet of the
	// network (rule N10).
	NetworkSettled pulumi.Resource
	// BackendIP is the address of the edge load balancer.
	BackendIP string
	// Propagation is how long a new role assignment takes to be honoured.
	Propagation time.Duration
}

// Gateway is the Application Gateway of one environment.
type Gateway struct {
	pulumi.ResourceState

	// ID is the ARM id of the gateway, PublicIP the address that clients connect to.
	ID, PublicIP pulumi.StringOutput
	// Resource is the gateway itself, for resources that must not be deleted before it.
	Resource pulumi.Resource
}

// New registers the gateway, its public address and its firewall policy.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Gateway, error) {
	g := &Gateway{}
	if err := ctx.RegisterComponentResource("gridos-infra:gateway:Gateway", name, g, opts...); err != nil {
		return nil, err
	}
	if err := g.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return g, ctx.RegisterResourceOutputs(g, pulumi.Map{"publicIp": g.PublicIP})
}

func (g *Gateway) provision(ctx *pulumi.Context, name string, args Args) error {
	address, err := azure.NewPublicIPAddress(ctx, name+"-ip", &azure.PublicIPAddressArgs{
		ResourceGroupName:   args.ResourceGroupName,
		PublicIpAddressName: pulumi.String(args.Names.GatewayPublicIP),
		Location:            pulumi.String(args.Location),
		Sku: azure.PublicIPAddressSkuArgs{ // a v2 gateway takes no other (rule G3)
			Name: pulumi.String(azure.PublicIPAddressSkuNameStandard),
		},
		PublicIPAllocationMethod: pulumi.String(azure.IPAllocationMethodStatic),
		PublicIPAddressVersion:   pulumi.String(azure.IPVersionIPv4),
		Zones:                    pulumi.ToStringArray(args.Settings.Zones),
		Tags:                     args.Tags,
	}, pulumi.Parent(g))
	if err != nil {
		return err
	}
	policy, err := azure.NewWebApplicationFirewallPolicy(ctx, name+"-waf", firewallArgs(args), pulumi.Parent(g))
	if err != nil {
		return err
	}
	reader, err := g.certificateReader(ctx, name, args)
	if err != nil {
		return err
	}
	gateway, err := azure.NewApplicationGateway(ctx, name+"-agw",
		gatewayArgs(args, address.ID().ToStringOutput(), policy.ID().ToStringOutput(), reader),
		pulumi.Parent(g), pulumi.DependsOn([]pulumi.Resource{args.NetworkSettled}), reader.granted)
	if err != nil {
		return err
	}
	g.ID, g.PublicIP, g.Resource = gateway.ID().ToStringOutput(), address.IpAddress.Elem(), gateway
	err = args.Diagnostics.Watch(ctx, name+"-ip", address.ID().ToStringOutput(), scope.LogsAndMetrics, pulumi.Parent(g))
	if err != nil {
		return err
	}
	return args.Diagnostics.Watch(ctx, name+"-agw", g.ID, scope.Tabled, pulumi.Parent(g))
}
