import type { input } from "@pulumi/azure-native/types";

import { Settings } from "./settings";

type SecurityRule = input.network.v20240501.SecurityRuleArgs;

/** A rule that lets traffic in or out; from and to are a range or a service tag. */
interface Rule {
  name: string;
  direction?: "Inbound" | "Outbound";
  protocol?: "*" | "Tcp";
  from: string;
  to: string;
  ports: string[];
  why: string;
}

/** What a subnet is for, with what makes it fit for that. */
export interface Purpose {
  name: string;
  prefix: string;
  delegation?: string;
  serviceEndpoints?: string[];
  rules: Rule[];
  /** The rules are for private endpoints too, which Azure exempts from them otherwise. */
  privateEndpoints?: boolean;
  /** Refuses what the rules do not let in from the virtual network and its peers. */
  closed: boolean;
}

export function purposes(plan: Settings["network"]) {
  const gateway: Purpose = {
    // Open to the virtual network: nothing but gateways may be in the subnet.
    name: "appgw",
    prefix: plan.appGateway,
    closed: false,
    rules: [
      {
        name: "AllowGatewayManager", protocol: "Tcp", from: "GatewayManager", to: "*", ports: ["65200-65535"],
        why: "Azure manages the gateway through these ports and refuses a gateway without them (rule N3)",
      },
      {
        name: "AllowClients", protocol: "Tcp", from: "Internet", to: plan.appGateway, ports: ["80", "443"],
        why: "Clients reach the gateway (rule N3)",
      },
    ],
  };
  const aks: Purpose = {
    name: "aks",
    prefix: plan.aks,
    serviceEndpoints: ["Microsoft.KeyVault"],
    closed: true,
    rules: [
      { name: "AllowNodes", from: plan.aks, to: plan.aks, ports: ["*"], why: "Nodes reach nodes (rule N8)" },
      { name: "AllowNodesToPods", from: plan.aks, to: plan.pods, ports: ["*"], why: "Nodes reach pods (rule N8)" },
      { name: "AllowPods", from: plan.pods, to: plan.pods, ports: ["*"], why: "Pods reach pods (rule N8)" },
      {
        // A load balancer hands packets on with their destination unchanged, so it is the nodes that see them.
        name: "AllowGateway", protocol: "Tcp", from: plan.appGateway, to: "*", ports: ["80", "443", "15021"],
        why: "The gateway sends traffic to, and probes, the edge load balancer",
      },
    ],
  };
  const postgres: Purpose = {
    name: "postgres",
    prefix: plan.postgres,
    delegation: "Microsoft.DBforPostgreSQL/flexibleServers",
    serviceEndpoints: ["Microsoft.Storage"], // high availability archives its logs there
    closed: true,
    rules: [
      {
        name: "AllowPostgresWithin", protocol: "Tcp", from: plan.postgres, to: plan.postgres, ports: ["5432"],
        why: "Primary and standby replicate (rule N4)",
      },
      {
        name: "AllowPostgresFromNodes", protocol: "Tcp", from: plan.aks, to: plan.postgres, ports: ["5432"],
        why: "Workloads reach the database (rule N4)",
      },
      {
        name: "AllowStorage", direction: "Outbound", protocol: "Tcp", from: plan.postgres, to: "Storage", ports: ["443"],
        why: "Backups and logs (rule N4)",
      },
      {
        name: "AllowEntra", direction: "Outbound", protocol: "Tcp", from: plan.postgres, to: "AzureActiveDirectory",
        ports: ["443"], why: "Entra authentication (rule N4)",
      },
    ],
  };
  const endpoints: Purpose = {
    name: "endpoints",
    prefix: plan.endpoints,
    privateEndpoints: true,
    closed: true,
    rules: [{
      name: "AllowNodes", protocol: "Tcp", from: plan.aks, to: plan.endpoints, ports: ["443"],
      why: "Nodes pull images and read secrets",
    }],
  };
  // Holds the address of the edge load balancer and no network interface.
  const ingress: Purpose = { name: "ingress", prefix: plan.ingress, closed: true, rules: [] };
  return { gateway, aks, postgres, endpoints, ingress };
}

/** Turns a purpose's rules into what Azure takes; priorities follow the order, in steps that leave room. */
export function securityRules(purpose: Purpose): SecurityRule[] {
  const rules = purpose.rules.map((rule, i): SecurityRule => ({
    name: rule.name,
    description: rule.why,
    access: "Allow",
    direction: rule.direction ?? "Inbound",
    priority: 100 + 10 * i,
    protocol: rule.protocol ?? "*",
    sourcePortRange: "*",
    sourceAddressPrefix: rule.from,
    destinationAddressPrefix: rule.to,
    // Azure takes one range in one field, and several in another.
    ...(rule.ports.length === 1 ? { destinationPortRange: rule.ports[0] } : { destinationPortRanges: rule.ports }),
  }));
  if (purpose.closed) {
    rules.push({
      name: "AllowLoadBalancerProbes",
      description: "Azure's load balancer probes what it sends traffic to (rule N8)",
      access: "Allow",
      direction: "Inbound",
      priority: 4095, // before the denial, whose tag has the host's address in it
      protocol: "*",
      sourceAddressPrefix: "AzureLoadBalancer",
      sourcePortRange: "*",
      destinationAddressPrefix: "*",
      destinationPortRange: "*",
    }, {
      name: "DenyVirtualNetwork",
      description: "Nothing else comes in from the virtual network and its peers; Azure's default rules would let them",
      access: "Deny",
      direction: "Inbound",
      priority: 4096, // the last that a rule can have
      protocol: "*",
      sourceAddressPrefix: "VirtualNetwork",
      sourcePortRange: "*",
      destinationAddressPrefix: "*",
      destinationPortRange: "*",
    });
  }
  return rules;
}
