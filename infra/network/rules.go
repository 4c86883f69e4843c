package network

import (
	"net/netip"

	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/naming"
)

// rule is one inbound or outbound rule of a network security group. Azure's default rules come
// after all of these: they allow inbound traffic from the virtual network, its peers and the load
// balancer's probes, refuse the Internet, and allow all outbound traffic.
type rule struct {
	name      string
	direction azure.SecurityRuleDirection
	protocol  azure.SecurityRuleProtocol
	from, to  []string // CIDRs, or one service tag
	ports     []string
	why       string
}

// purpose is what a subnet is for, with the settings that this needs.
type purpose struct {
	name       string // the program's, which outlives a change of the subnet's
	subnet     string // the subnet's name in Azure
	prefix     netip.Prefix
	delegation string   // the service that the subnet is delegated to, or ""
	endpoints  []string // service endpoints
	rules      []rule
	// privateEndpoints says that the rules also hold for private endpoints, which Azure exempts by
	// default.
	privateEndpoints bool
	// leaves says that traffic from the subnet leaves the network by its NAT gateway, if there is
	// one.
	leaves bool
	// closed refuses all traffic from the virtual network and its peers that the rules do not
	// allow, except the load balancer's probes.
	closed bool
}

var (
	anywhere = []string{"*"}
	allPorts = []string{"*"}
)

// purposes returns the subnets in the order in which they are created: that of the gateway first,
// because only a server with a standby takes longer to create than a gateway, and the server waits
// for its DNS zone anyway.
func purposes(plan Plan, vaultEndpoint bool) []purpose {
	nodes, pods := cidrs(plan.AKS), cidrs(plan.Pods)
	gateway, postgres, endpoints := cidrs(plan.AppGateway), cidrs(plan.Postgres), cidrs(plan.Endpoints)
	operators := cidrs(plan.Operators...)

	aks := purpose{name: "aks", subnet: naming.SubnetAKS, prefix: plan.AKS, leaves: true, closed: true, rules: []rule{
		{
			"AllowNodes", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolAsterisk, nodes, nodes, allPorts,
			"Nodes reach nodes (rule N8)",
		},
		{
			"AllowNodesToPods", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolAsterisk, nodes, pods, allPorts,
			"Nodes reach pods (rule N8)",
		},
		{
			"AllowPods", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolAsterisk, pods, pods, allPorts,
			"Pods reach pods (rule N8)",
		},
		{
			// A load balancer forwards packets without changing their destination, so the gateway's
			// traffic arrives at the nodes; the gateway probes 15021.
			"AllowGateway", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolTcp, gateway, anywhere,
			[]string{"80", "443", "15021"},
			"The gateway sends traffic to, and probes, the edge load balancer",
		},
	}}
	if vaultEndpoint {
		aks.endpoints = []string{"Microsoft.KeyVault"}
	}
	private := purpose{
		name: "endpoints", subnet: naming.SubnetEndpoints, prefix: plan.Endpoints, closed: true, privateEndpoints: true,
		rules: []rule{{
			"AllowNodes", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolTcp, nodes, endpoints,
			[]string{"443"},
			"Nodes pull images and read secrets",
		}},
	}
	if len(operators) > 0 {
		operate := rule{
			"AllowOperators", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolTcp, operators, nil,
			[]string{"443"},
			"People and pipelines reach private endpoints; that of the API server is among the nodes",
		}
		operate.to = nodes
		aks.rules = append(aks.rules, operate)
		operate.to = endpoints
		private.rules = append(private.rules, operate)
	}
	return []purpose{
		{
			// Open to the virtual network: nothing but gateways may be in the subnet, and Azure warns of
			// closing more (rule N3).
			name:   "appgw",
			subnet: naming.SubnetGateway,
			prefix: plan.AppGateway,
			rules: []rule{
				{
					"AllowGatewayManager", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolTcp,
					[]string{"GatewayManager"},
					anywhere,
					[]string{"65200-65535"},
					"Azure manages the gateway through these ports and refuses a gateway without them (rule N3)",
				},
				{
					"AllowClients", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolTcp,
					[]string{"Internet"},
					gateway,
					[]string{"80", "443"},
					"Clients reach the gateway (rule N3)",
				},
			},
		},
		aks,
		{
			name:       "postgres",
			subnet:     naming.SubnetPostgres,
			prefix:     plan.Postgres,
			delegation: "Microsoft.DBforPostgreSQL/flexibleServers",
			endpoints:  []string{"Microsoft.Storage"}, // high availability archives its logs there (rule N4)
			closed:     true,
			rules: []rule{
				{
					"AllowPostgresWithin", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolTcp, postgres, postgres,
					[]string{"5432"},
					"Primary and standby replicate (rule N4)",
				},
				{
					"AllowPostgresFromNodes", azure.SecurityRuleDirectionInbound, azure.SecurityRuleProtocolTcp, nodes, postgres,
					[]string{"5432"},
					"Workloads reach the database (rule N4)",
				},
				{
					"AllowStorage", azure.SecurityRuleDirectionOutbound, azure.SecurityRuleProtocolTcp, postgres,
					[]string{"Storage"},
					[]string{"443"},
					"Backups and logs (rule N4)",
				},
				{
					"AllowEntra", azure.SecurityRuleDirectionOutbound, azure.SecurityRuleProtocolTcp, postgres,
					[]string{"AzureActiveDirectory"},
					[]string{"443"},
					"Entra authentication (rule N4)",
				},
			},
		},
		private,
		// Holds the address of the edge load balancer and no network interface.
		{name: "ingress", subnet: naming.SubnetIngress, prefix: plan.Ingress, closed: true},
	}
}

// securityRules turns a purpose's rules into Azure's form; priorities follow the order, in steps
// that leave room.
func (p purpose) securityRules() azure.SecurityRuleTypeArray {
	out := make(azure.SecurityRuleTypeArray, 0, len(p.rules)+2)
	for i, r := range p.rules {
		allow := azure.SecurityRuleTypeArgs{
			Name:                  pulumi.String(r.name),
			Description:           pulumi.String(r.why),
			Access:                pulumi.String(azure.SecurityRuleAccessAllow),
			Direction:             pulumi.String(r.direction),
			Priority:              pulumi.Int(100 + 10*i),
			Protocol:              pulumi.String(r.protocol),
			SourcePortRange:       pulumi.String("*"),
			DestinationPortRanges: pulumi.ToStringArray(r.ports),
		}
		// Azure takes one range or tag in one field, and several ranges in another.
		if len(r.from) == 1 {
			allow.SourceAddressPrefix = pulumi.String(r.from[0])
		} else {
			allow.SourceAddressPrefixes = pulumi.ToStringArray(r.from)
		}
		if len(r.to) == 1 {
			allow.DestinationAddressPrefix = pulumi.String(r.to[0])
		} else {
			allow.DestinationAddressPrefixes = pulumi.ToStringArray(r.to)
		}
		if len(r.ports) == 1 { // "*" is no element of a list of ports
			allow.DestinationPortRange, allow.DestinationPortRanges = pulumi.String(r.ports[0]), nil
		}
		out = append(out, allow)
	}
	if p.closed {
		// The tag VirtualNetwork has the address of the host in it, 168.63.129.16, from which the
		// load balancer probes: after a rule that denies the tag, Azure's default rule for the
		// probes would never apply, and no node would count as healthy (azure-docs, "Service tags";
		// issue 38326 there).
		out = append(out,
			closing("AllowLoadBalancerProbes", "Azure's load balancer probes what it sends traffic to (rule N8)",
				azure.SecurityRuleAccessAllow, lastPriority-1, "AzureLoadBalancer"),
			closing("DenyVirtualNetwork",
				"Nothing else comes in from the virtual network and its peers; Azure's default rules would let them",
				azure.SecurityRuleAccessDeny, lastPriority, "VirtualNetwork"))
	}
	return out
}

// lastPriority is the last that a rule can have.
const lastPriority = 4096

// closing is a rule for all inbound traffic from a tag.
func closing(name, why string, access azure.SecurityRuleAccess, priority int, tag string) azure.SecurityRuleTypeArgs {
	return azure.SecurityRuleTypeArgs{
		Name:                     pulumi.String(name),
		Description:              pulumi.String(why),
		Access:                   pulumi.String(access),
		Direction:                pulumi.String(azure.SecurityRuleDirectionInbound),
		Priority:                 pulumi.Int(priority),
		Protocol:                 pulumi.String(azure.SecurityRuleProtocolAsterisk),
		SourceAddressPrefix:      pulumi.String(tag),
		SourcePortRange:          pulumi.String("*"),
		DestinationAddressPrefix: pulumi.String("*"),
		DestinationPortRange:     pulumi.String("*"),
	}
}

func cidrs(prefixes ...netip.Prefix) []string {
	out := make([]string, len(prefixes))
	for i, p := range prefixes {
		out[i] = p.String()
	}
	return out
}
