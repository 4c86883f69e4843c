import { PrivateZone } from "@pulumi/azure-native/network/v20240601/privateZone";
import { VirtualNetworkLink } from "@pulumi/azure-native/network/v20240601/virtualNetworkLink";
import * as pulumi from "@pulumi/pulumi";

export interface PrivateZoneArgs {
  zone: string;
  networkId: pulumi.Input<string>;
  networkName: string;
  resourceGroupName: pulumi.Input<string>;
  tags: Record<string, string>;
}

/** Registers a private DNS zone and the link that makes its names known in a network. */
export function privateZone(name: string, args: PrivateZoneArgs, opts: pulumi.CustomResourceOptions) {
  const zone = new PrivateZone(`${name}-zone`, {
    resourceGroupName: args.resourceGroupName,
    privateZoneName: args.zone,
    location: "Global", // explicit: Azure's default is not
    tags: args.tags,
  }, opts);
  const link = new VirtualNetworkLink(`${name}-zone-link`, {
    resourceGroupName: args.resourceGroupName,
    privateZoneName: zone.name,
    virtualNetworkLinkName: args.networkName,
    location: "Global",
    registrationEnabled: false,
    virtualNetwork: { id: args.networkId },
    tags: args.tags,
  }, opts);
  return { id: zone.id, link };
}
