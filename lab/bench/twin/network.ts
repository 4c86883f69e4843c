import { NetworkSecurityGroup } from "@pulumi/azure-native/network/v20240501/networkSecurityGroup";
import { Subnet } from "@pulumi/azure-native/network/v20240501/subnet";
import { VirtualNetwork } from "@pulumi/azure-native/network/v20240501/virtualNetwork";
import * as pulumi from "@pulumi/pulumi";

import { Place } from "./common";
import { logs, logsAndMetrics, Sink } from "./monitoring";
import { privateZone } from "./privatedns";
import { Purpose, purposes, securityRules } from "./rules";
import { Settings } from "./settings";

export interface NetworkArgs extends Place {
  plan: Settings["network"];
  diagnostics: Sink;
}

/** The virtual network with its subnets, and the private DNS zone of the database. */
export class Network extends pulumi.ComponentResource {
  readonly id: pulumi.Output<string>;
  readonly aksSubnetId: pulumi.Output<string>;
  readonly gatewaySubnetId: pulumi.Output<string>;
  readonly postgresSubnetId: pulumi.Output<string>;
  readonly endpointsSubnetId: pulumi.Output<string>;
  readonly postgresZoneId: pulumi.Output<string>;
  /** Without it the server's name does not resolve. */
  readonly postgresZoneLink: pulumi.Resource;

  constructor(name: string, args: NetworkArgs, opts: pulumi.ComponentResourceOptions) {
    super("gridos-infra:network:Network", name, {}, opts);
    const vnet = new VirtualNetwork(`${name}-vnet`, {
      resourceGroupName: args.resourceGroupName,
      virtualNetworkName: args.names.virtualNetwork,
      location: args.location,
      addressSpace: { addressPrefixes: [args.plan.addressSpace] },
      tags: args.tags,
    }, { parent: this });
    args.diagnostics.watch(`${name}-vnet`, vnet.id, logsAndMetrics, { parent: this });

    // Azure works on one subnet of a virtual network at a time and refuses a second, so they form a chain.
    const all = purposes(args.plan);
    const gateway = this.subnet(name, all.gateway, vnet, args);
    const aks = this.subnet(name, all.aks, vnet, args, gateway);
    const postgres = this.subnet(name, all.postgres, vnet, args, aks);
    const endpoints = this.subnet(name, all.endpoints, vnet, args, postgres);
    this.subnet(name, all.ingress, vnet, args, endpoints);

    const zone = privateZone(`${name}-postgres`, {
      zone: args.names.postgresZone,
      networkId: vnet.id,
      networkName: args.names.virtualNetwork,
      resourceGroupName: args.resourceGroupName,
      tags: args.tags,
    }, { parent: this });

    this.id = vnet.id;
    this.aksSubnetId = aks.id;
    this.gatewaySubnetId = gateway.id;
    this.postgresSubnetId = postgres.id;
    this.endpointsSubnetId = endpoints.id;
    this.postgresZoneId = zone.id;
    this.postgresZoneLink = zone.link;
    this.registerOutputs({
      id: this.id,
      aksSubnetId: this.aksSubnetId,
      gatewaySubnetId: this.gatewaySubnetId,
      postgresSubnetId: this.postgresSubnetId,
      postgresZoneId: this.postgresZoneId,
      endpointsSubnetId: this.endpointsSubnetId,
    });
  }

  private subnet(name: string, purpose: Purpose, vnet: VirtualNetwork, args: NetworkArgs, previous?: Subnet): Subnet {
    const groupName = `${name}-${purpose.name}-nsg`;
    const group = new NetworkSecurityGroup(groupName, {
      resourceGroupName: args.resourceGroupName,
      networkSecurityGroupName: args.names.securityGroup(purpose.name),
      location: args.location,
      securityRules: securityRules(purpose),
      tags: args.tags,
    }, { parent: this });
    args.diagnostics.watch(groupName, group.id, logs, { parent: this });
    return new Subnet(`${name}-${purpose.name}`, {
      resourceGroupName: args.resourceGroupName,
      virtualNetworkName: vnet.name,
      subnetName: purpose.name,
      addressPrefix: purpose.prefix,
      networkSecurityGroup: { id: group.id },
      delegations: purpose.delegation ? [{ name: purpose.name, serviceName: purpose.delegation }] : undefined,
      privateEndpointNetworkPolicies: purpose.privateEndpoints ? "NetworkSecurityGroupEnabled" : undefined,
      serviceEndpoints: purpose.serviceEndpoints?.map((service) => ({ service })),
    }, { parent: this, dependsOn: previous });
  }
}
