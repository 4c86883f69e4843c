import { Registry as ContainerRegistry } from "@pulumi/azure-native/containerregistry/v20230701/registry";
import * as pulumi from "@pulumi/pulumi";

import { Place } from "./common";
import { logsAndMetrics, Sink } from "./monitoring";

export interface RegistryArgs extends Place {
  sku: string;
  diagnostics: Sink;
}

/** The container registry that the application's images are pushed to. */
export class Registry extends pulumi.ComponentResource {
  readonly id: pulumi.Output<string>;
  readonly loginServer: pulumi.Output<string>;

  constructor(name: string, args: RegistryArgs, opts: pulumi.ComponentResourceOptions) {
    super("gridos-infra:registry:Registry", name, {}, opts);
    const registry = new ContainerRegistry(`${name}-registry`, {
      resourceGroupName: args.resourceGroupName,
      registryName: args.names.registry,
      location: args.location,
      sku: { name: args.sku },
      adminUserEnabled: false, // identities pull and push; there is no shared password
      tags: args.tags,
    }, { parent: this });
    args.diagnostics.watch(`${name}-registry`, registry.id, logsAndMetrics, { parent: this });
    this.id = registry.id;
    this.loginServer = registry.loginServer;
    this.registerOutputs({ id: this.id, loginServer: this.loginServer });
  }
}
