import { ApplicationGateway } from "@pulumi/azure-native/network/v20240501/applicationGateway";
import { PublicIPAddress } from "@pulumi/azure-native/network/v20240501/publicIPAddress";
import { WebApplicationFirewallPolicy } from "@pulumi/azure-native/network/v20240501/webApplicationFirewallPolicy";
import * as pulumi from "@pulumi/pulumi";

import { Place } from "./common";
import { logsAndMetrics, Sink } from "./monitoring";
import { Settings } from "./settings";

export interface GatewayArgs extends Place {
  settings: Settings["gateway"];
  subscriptionId: string;
  subnetId: pulumi.Input<string>;
  /** The address of the edge load balancer. */
  backendIp: string;
  diagnostics: Sink;
}

/** The Application Gateway with its web application firewall; without a certificate, dev serves plain HTTP. */
export class Gateway extends pulumi.ComponentResource {
  readonly publicIp: pulumi.Output<string>;

  constructor(name: string, args: GatewayArgs, opts: pulumi.ComponentResourceOptions) {
    super("gridos-infra:gateway:Gateway", name, {}, opts);
    const { location, names, resourceGroupName, settings, tags } = args;
    const address = new PublicIPAddress(`${name}-ip`, {
      resourceGroupName,
      publicIpAddressName: names.gatewayPublicIp,
      location,
      sku: { name: "Standard" }, // a v2 gateway takes no other
      publicIPAllocationMethod: "Static",
      publicIPAddressVersion: "IPv4",
      zones: settings.zones,
      tags,
    }, { parent: this });
    const policy = new WebApplicationFirewallPolicy(`${name}-waf`, {
      resourceGroupName,
      policyName: names.firewallPolicy,
      location,
      policySettings: { state: "Enabled", mode: "Prevention", requestBodyCheck: true },
      managedRules: { managedRuleSets: [{ ruleSetType: "Microsoft_DefaultRuleSet", ruleSetVersion: "2.1" }] },
      tags,
    }, { parent: this });

    // The parts refer to each other by the ids that they will have: a resource cannot refer to its own id.
    const part = (collection: string, partName: string) => ({
      id: pulumi.interpolate`/subscriptions/${args.subscriptionId}/resourceGroups/${resourceGroupName}/providers/Microsoft.Network/${
        `applicationGateways/${names.gateway}/${collection}/${partName}`}`,
    });
    const gateway = new ApplicationGateway(`${name}-agw`, {
      resourceGroupName,
      applicationGatewayName: names.gateway,
      location,
      zones: settings.zones,
      sku: { name: "WAF_v2", tier: "WAF_v2" },
      autoscaleConfiguration: { minCapacity: settings.minCapacity, maxCapacity: settings.maxCapacity },
      firewallPolicy: { id: policy.id },
      sslPolicy: { policyType: "Predefined", policyName: "AppGwSslPolicy20220101S" }, // the default moves with the API version
      gatewayIPConfigurations: [{ name: "gateway-ip", subnet: { id: args.subnetId } }],
      frontendIPConfigurations: [{ name: "public", publicIPAddress: { id: address.id } }],
      frontendPorts: [{ name: "http", port: 80 }],
      httpListeners: [{
        name: "http",
        protocol: "Http",
        frontendIPConfiguration: part("frontendIPConfigurations", "public"),
        frontendPort: part("frontendPorts", "http"),
      }],
      // Behind the gateway it is plain HTTP: it stays in the virtual network, and the mesh encrypts from there on.
      backendAddressPools: [{ name: "edge", backendAddresses: [{ ipAddress: args.backendIp }] }],
      probes: [{
        name: "edge-ready",
        protocol: "Http",
        host: args.backendIp,
        port: 15021,
        path: "/healthz/ready",
        interval: 10,
        timeout: 5,
        unhealthyThreshold: 3,
      }],
      backendHttpSettingsCollection: [{
        name: "edge-http",
        protocol: "Http",
        port: 80,
        cookieBasedAffinity: "Disabled",
        requestTimeout: 30,
        probe: part("probes", "edge-ready"),
      }],
      requestRoutingRules: [{
        name: "to-edge",
        priority: 100,
        ruleType: "Basic",
        httpListener: part("httpListeners", "http"),
        backendAddressPool: part("backendAddressPools", "edge"),
        backendHttpSettings: part("backendHttpSettingsCollection", "edge-http"),
      }],
      tags,
    }, { parent: this });
    args.diagnostics.watch(`${name}-ip`, address.id, logsAndMetrics, { parent: this });
    args.diagnostics.watch(`${name}-agw`, gateway.id, logsAndMetrics, { parent: this });
    this.publicIp = address.ipAddress.apply((ip) => ip ?? "");
    this.registerOutputs({ publicIp: this.publicIp });
  }
}
