package network

import (
	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// rule is one inbound or outbound allowance of a network security group. What is not allowed here falls to Azure's default
// rules: traffic inside the virtual network and from the load balancer comes in, the Internet does not. The allowances
// within the network therefore say what is needed, and start to matter with the first rule that denies.
type rule struct {
	name        string
	direction   string
	from        string
	to          string
	ports       []string
	description string
}

// purpose is what a subnet is for, with what makes it fit for that.
type purpose struct {
	name       string
	delegation string   // the service that the subnet is delegated to, or ""
	endpoints  []string // service endpoints
	rules      []rule
}

const (
	inbound  = "Inbound"
	outbound = "Outbound"
)

// purposes returns the subnets in the order in which they are created.
func purposes(plan Plan) []purpose {
	return []purpose{
		{
			name: "aks",
			rules: []rule{{
				// A load balancer hands packets on with their destination unchanged, so it is the nodes that see the
				// gateway's traffic; 15021 is where the gateway probes.
				"AllowGateway", inbound, plan.AppGateway.String(), "*",
				[]string{"80", "443", "15021"},
				"The gateway sends traffic to, and probes, the edge load balancer",
			}},
		},
		{
			name: "appgw",
			rules: []rule{
				{
					"AllowGatewayManager", inbound, "GatewayManager", "*",
					[]string{"65200-65535"},
					"Azure manages the gateway through these ports and refuses a gateway without them (rule N3)",
				},
				{
					"AllowClients", inbound, "Internet", plan.AppGateway.String(),
					[]string{"80", "443"},
					"Clients reach the gateway",
				},
			},
		},
		{
			name:       "postgres",
			delegation: "Microsoft.DBforPostgreSQL/flexibleServers",
			endpoints:  []string{"Microsoft.Storage"}, // high availability archives its logs there (rule N4)
			rules: []rule{
				{
					"AllowPostgresWithin", inbound, plan.Postgres.String(), plan.Postgres.String(),
					[]string{"5432"},
					"Primary and standby replicate (rule N4)",
				},
				{
					"AllowPostgresFromNodes", inbound, plan.AKS.String(), plan.Postgres.String(),
					[]string{"5432"},
					"Workloads reach the database",
				},
				{
					"AllowStorage", outbound, plan.Postgres.String(), "Storage",
					[]string{"443"},
					"Backups and logs (rule N4)",
				},
				{
					"AllowEntra", outbound, plan.Postgres.String(), "AzureActiveDirectory",
					[]string{"443"},
					"Entra authentication (rule N4)",
				},
			},
		},
		{name: "ingress"}, // holds the address of the edge load balancer only
		{name: "endpoints"},
	}
}

// securityRules turns rules into what Azure takes; priorities follow the order, in steps that leave room.
func securityRules(rules []rule) azure.SecurityRuleTypeArray {
	out := make(azure.SecurityRuleTypeArray, len(rules))
	for i, r := range rules {
		out[i] = azure.SecurityRuleTypeArgs{
			Name:                     pulumi.String(r.name),
			Description:              pulumi.String(r.description),
			Access:                   pulumi.String(azure.SecurityRuleAccessAllow),
			Direction:                pulumi.String(r.direction),
			Priority:                 pulumi.Int(100 + 10*i),
			Protocol:                 pulumi.String(azure.SecurityRuleProtocolTcp),
			SourceAddressPrefix:      pulumi.String(r.from),
			SourcePortRange:          pulumi.String("*"),
			DestinationAddressPrefix: pulumi.String(r.to),
			DestinationPortRanges:    pulumi.ToStringArray(r.ports),
		}
	}
	return out
}
