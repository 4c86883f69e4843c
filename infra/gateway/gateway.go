// Package gateway creates the Application Gateway with its web application firewall. The gateway is owned here as a whole:
// no controller in the cluster writes to it, so that an update never erases what another wrote (rule G7).
package gateway

import (
	"fmt"

	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/naming"
)

// Settings is the configuration of the gateway.
type Settings struct {
	// MinCapacity and MaxCapacity bound the gateway's autoscaling, in capacity units' instances.
	MinCapacity, MaxCapacity int
	// Zones are the availability zones that the gateway and its address spread over; empty means none.
	Zones []string
}

// maxInstances is what Azure allows an autoscaled v2 gateway.
const maxInstances = 125

// Load reads Settings, recording mistakes in r.
func Load(r *config.Reader) Settings {
	s := Settings{
		MinCapacity: r.IntBetween("gatewayMinCapacity", 0, maxInstances),
		MaxCapacity: r.IntBetween("gatewayMaxCapacity", 2, maxInstances),
		Zones:       r.Strings("gatewayZones"),
	}
	if s.MaxCapacity > 0 && s.MinCapacity > s.MaxCapacity {
		r.Check("gatewayMaxCapacity", fmt.Errorf("%d is less than gatewayMinCapacity %d; raise it", s.MaxCapacity, s.MinCapacity))
	}
	return s
}

// Args is what a Gateway needs. Every field is required.
type Args struct {
	Names    naming.Names
	Settings Settings
	Location string
	// SubscriptionID is the GUID of the subscription, to spell the ids of the gateway's own parts.
	SubscriptionID    string
	ResourceGroupName pulumi.StringInput
	// SubnetID is the ARM id of the gateway's subnet.
	SubnetID pulumi.StringInput
	// BackendIP is the address of the edge load balancer.
	BackendIP string
	Tags      pulumi.StringMap
}

// Gateway is the Application Gateway of one environment.
type Gateway struct {
	pulumi.ResourceState

	// PublicIP is the address that clients connect to.
	PublicIP pulumi.StringOutput
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
	policy, err := azure.NewWebApplicationFirewallPolicy(ctx, name+"-waf", &azure.WebApplicationFirewallPolicyArgs{
		ResourceGroupName: args.ResourceGroupName,
		PolicyName:        pulumi.String(args.Names.FirewallPolicy),
		Location:          pulumi.String(args.Location),
		PolicySettings: azure.PolicySettingsArgs{
			State:            pulumi.String(azure.WebApplicationFirewallEnabledStateEnabled),
			Mode:             pulumi.String(azure.WebApplicationFirewallModePrevention),
			RequestBodyCheck: pulumi.Bool(true),
		},
		ManagedRules: azure.ManagedRulesDefinitionArgs{ManagedRuleSets: azure.ManagedRuleSetArray{
			azure.ManagedRuleSetArgs{
				RuleSetType:    pulumi.String("Microsoft_DefaultRuleSet"),
				RuleSetVersion: pulumi.String("2.1"),
			},
		}},
		Tags: args.Tags,
	}, pulumi.Parent(g))
	if err != nil {
		return err
	}
	_, err = azure.NewApplicationGateway(ctx, name+"-agw",
		gatewayArgs(args, address.ID().ToStringOutput(), policy.ID().ToStringOutput()), pulumi.Parent(g))
	if err != nil {
		return err
	}
	g.PublicIP = address.IpAddress.Elem()
	return nil
}

// The names of the gateway's parts.
const (
	gatewayIP    = "gateway-ip"
	frontendIP   = "public"
	httpPort     = "http"
	httpListener = "http"
	edgePool     = "edge"
	edgeSettings = "edge-http"
	edgeProbe    = "edge-ready"
	edgeRule     = "http-to-edge"
)

// istioReadiness is the path on port 15021 that an Istio ingress gateway answers when it is ready.
const (
	istioReadiness     = "/healthz/ready"
	istioReadinessPort = 15021
)

func gatewayArgs(args Args, publicIPID, policyID pulumi.StringInput) *azure.ApplicationGatewayArgs {
	// The parts refer to each other by the id that they will have within the gateway, spelled in advance because a
	// resource cannot refer to its own id (rule G1).
	part := func(collection, name string) azure.SubResourceArgs {
		return azure.SubResourceArgs{Id: pulumi.Sprintf(
			"/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Network/applicationGateways/%s/%s/%s",
			args.SubscriptionID, args.ResourceGroupName, args.Names.Gateway, collection, name)}
	}
	return &azure.ApplicationGatewayArgs{
		ResourceGroupName:      args.ResourceGroupName,
		ApplicationGatewayName: pulumi.String(args.Names.Gateway),
		Location:               pulumi.String(args.Location),
		Zones:                  pulumi.ToStringArray(args.Settings.Zones),
		Sku: azure.ApplicationGatewaySkuArgs{
			Name: pulumi.String(azure.ApplicationGatewaySkuName_WAF_v2),
			Tier: pulumi.String(azure.ApplicationGatewayTier_WAF_v2),
		},
		AutoscaleConfiguration: azure.ApplicationGatewayAutoscaleConfigurationArgs{
			MinCapacity: pulumi.Int(args.Settings.MinCapacity),
			MaxCapacity: pulumi.Int(args.Settings.MaxCapacity),
		},
		// The policy, not WebApplicationFirewallConfiguration, which Azure retires in March 2027 (rule G4).
		FirewallPolicy: azure.SubResourceArgs{Id: policyID},
		SslPolicy: azure.ApplicationGatewaySslPolicyArgs{ // pinned: the default moves with the API version (rule G5)
			PolicyType: pulumi.String(azure.ApplicationGatewaySslPolicyTypePredefined),
			PolicyName: pulumi.String(azure.ApplicationGatewaySslPolicyNameAppGwSslPolicy20220101S),
		},
		GatewayIPConfigurations: azure.ApplicationGatewayIPConfigurationArray{azure.ApplicationGatewayIPConfigurationArgs{
			Name:   pulumi.String(gatewayIP),
			Subnet: azure.SubResourceArgs{Id: args.SubnetID},
		}},
		FrontendIPConfigurations: azure.ApplicationGatewayFrontendIPConfigurationArray{
			azure.ApplicationGatewayFrontendIPConfigurationArgs{
				Name:            pulumi.String(frontendIP),
				PublicIPAddress: azure.SubResourceArgs{Id: publicIPID},
			},
		},
		FrontendPorts: azure.ApplicationGatewayFrontendPortArray{azure.ApplicationGatewayFrontendPortArgs{
			Name: pulumi.String(httpPort),
			Port: pulumi.Int(80),
		}},
		BackendAddressPools: azure.ApplicationGatewayBackendAddressPoolArray{azure.ApplicationGatewayBackendAddressPoolArgs{
			Name: pulumi.String(edgePool),
			BackendAddresses: azure.ApplicationGatewayBackendAddressArray{azure.ApplicationGatewayBackendAddressArgs{
				IpAddress: pulumi.String(args.BackendIP),
			}},
		}},
		Probes: azure.ApplicationGatewayProbeArray{azure.ApplicationGatewayProbeArgs{
			Name:               pulumi.String(edgeProbe),
			Protocol:           pulumi.String(azure.ApplicationGatewayProtocolHttp),
			Host:               pulumi.String(args.BackendIP),
			Port:               pulumi.Int(istioReadinessPort),
			Path:               pulumi.String(istioReadiness),
			Interval:           pulumi.Int(10),
			Timeout:            pulumi.Int(5),
			UnhealthyThreshold: pulumi.Int(3),
		}},
		BackendHttpSettingsCollection: azure.ApplicationGatewayBackendHttpSettingsArray{
			azure.ApplicationGatewayBackendHttpSettingsArgs{
				Name:                pulumi.String(edgeSettings),
				Protocol:            pulumi.String(azure.ApplicationGatewayProtocolHttp),
				Port:                pulumi.Int(80),
				CookieBasedAffinity: pulumi.String(azure.ApplicationGatewayCookieBasedAffinityDisabled),
				RequestTimeout:      pulumi.Int(30),
				Probe:               part("probes", edgeProbe),
			},
		},
		HttpListeners: azure.ApplicationGatewayHttpListenerArray{azure.ApplicationGatewayHttpListenerArgs{
			Name:                    pulumi.String(httpListener),
			Protocol:                pulumi.String(azure.ApplicationGatewayProtocolHttp),
			FrontendIPConfiguration: part("frontendIPConfigurations", frontendIP),
			FrontendPort:            part("frontendPorts", httpPort),
		}},
		RequestRoutingRules: azure.ApplicationGatewayRequestRoutingRuleArray{
			azure.ApplicationGatewayRequestRoutingRuleArgs{
				Name:                pulumi.String(edgeRule),
				Priority:            pulumi.Int(100), // required since API version 2021-08-01 (rule G2)
				RuleType:            pulumi.String(azure.ApplicationGatewayRequestRoutingRuleTypeBasic),
				HttpListener:        part("httpListeners", httpListener),
				BackendAddressPool:  part("backendAddressPools", edgePool),
				BackendHttpSettings: part("backendHttpSettingsCollection", edgeSettings),
			},
		},
		Tags: args.Tags,
	}
}
