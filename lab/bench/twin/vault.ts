import { Secret } from "@pulumi/azure-native/keyvault/v20241101/secret";
import { Vault as KeyVault } from "@pulumi/azure-native/keyvault/v20241101/vault";
import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random/randomPassword";

import { Place } from "./common";
import { assign, Principal, roles } from "./identity";
import { logsAndMetrics, Sink } from "./monitoring";

export interface VaultArgs extends Place {
  softDeleteDays: number;
  protect: boolean;
  subscriptionId: string;
  tenantId: string;
  deployer: Principal;
  authorizedRanges: string[];
  nodesSubnetId: pulumi.Input<string>;
  diagnostics: Sink;
}

export interface GeneratedSecretArgs {
  secretName: string;
  resourceGroupName: pulumi.Input<string>;
  tags: Record<string, string>;
}

/** The key vault, the only place where the platform's secrets live. */
export class Vault extends pulumi.ComponentResource {
  readonly id: pulumi.Output<string>;
  readonly name: pulumi.Output<string>;
  readonly uri: pulumi.Output<string>;
  /** The deployer's right to secrets, which outlives them: they are deleted with it. */
  readonly access: pulumi.Resource;

  constructor(name: string, args: VaultArgs, opts: pulumi.ComponentResourceOptions) {
    super("gridos-infra:vault:Vault", name, {}, opts);
    const vault = new KeyVault(`${name}-vault`, {
      resourceGroupName: args.resourceGroupName,
      vaultName: args.names.vault,
      location: args.location,
      properties: {
        tenantId: args.tenantId,
        sku: { family: "A", name: "standard" },
        enableRbacAuthorization: true,
        enableSoftDelete: true,
        softDeleteRetentionInDays: args.softDeleteDays,
        publicNetworkAccess: "Enabled",
        networkAcls: {
          defaultAction: "Deny",
          bypass: "AzureServices", // Resource Manager writes the secrets
          ipRules: args.authorizedRanges.map((value) => ({ value })),
          virtualNetworkRules: [{ id: args.nodesSubnetId }],
        },
      },
      tags: args.tags,
    }, { parent: this, protect: args.protect });
    this.access = assign(`${name}-deployer-secrets-officer`, {
      subscriptionId: args.subscriptionId,
      scope: vault.id,
      principal: args.deployer,
      role: roles.keyVaultSecretsOfficer,
    }, { parent: this });
    args.diagnostics.watch(`${name}-vault`, vault.id, logsAndMetrics, { parent: this });
    this.id = vault.id;
    this.name = vault.name;
    this.uri = vault.properties.apply((properties) => properties.vaultUri ?? "");
    this.registerOutputs({ id: this.id, name: this.name, uri: this.uri });
  }

  /** Registers a secret that nobody chose. Replacing the resource <name>-value issues another. */
  generateSecret(name: string, args: GeneratedSecretArgs): void {
    const value = new RandomPassword(`${name}-value`, { length: 40, special: false }, { parent: this });
    new Secret(`${name}-secret`, {
      resourceGroupName: args.resourceGroupName,
      vaultName: this.name,
      secretName: args.secretName,
      properties: { value: value.result },
      tags: args.tags,
    }, { parent: this, dependsOn: this.access });
  }
}
