import { createHash } from "node:crypto";

import { RoleAssignment } from "@pulumi/azure-native/authorization/v20220401/roleAssignment";
import {
  FederatedIdentityCredential,
} from "@pulumi/azure-native/managedidentity/v20230131/federatedIdentityCredential";
import { UserAssignedIdentity } from "@pulumi/azure-native/managedidentity/v20230131/userAssignedIdentity";
import * as pulumi from "@pulumi/pulumi";

import { Place } from "./common";

/** The roles built into Azure that the platform assigns. */
export const roles = {
  acrPull: "7f951dda-4ed3-4680-a7ca-43fe172d538d",
  acrPush: "8311e382-0749-4cb8-b61a-304f252e45ec",
  networkContributor: "4d97b98b-1d4f-4787-a291-c67834d212e7",
  keyVaultSecretsUser: "4633458b-17de-408a-b874-0445c86b69e6",
  keyVaultSecretsOfficer: "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
  clusterAdmin: "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b",
};

export interface Principal {
  id: pulumi.Input<string>;
  type: "User" | "Group" | "ServicePrincipal";
}

export interface Assignment {
  subscriptionId: string;
  scope: pulumi.Input<string>;
  principal: Principal;
  role: string;
}

/** Registers a role assignment, named after what it says: Azure refuses a second of the same under another name. */
export function assign(name: string, args: Assignment, opts: pulumi.CustomResourceOptions): RoleAssignment {
  return new RoleAssignment(name, {
    roleAssignmentName: pulumi.interpolate`${args.scope}|${args.principal.id}|${args.role}`.apply(uuidOf),
    scope: args.scope,
    principalId: args.principal.id,
    principalType: args.principal.type,
    roleDefinitionId: `/subscriptions/${args.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${args.role}`,
  }, opts);
}

/**
 * Registers a role assignment and returns the options of what needs it: that depends on the assignment and, when it is created or
 * updated, waits until a new one is old enough to be honoured.
 */
export function assignBefore(
  name: string, args: Assignment, propagation: number, opts: pulumi.CustomResourceOptions,
): pulumi.CustomResourceOptions {
  if (propagation === 0) {
    return { dependsOn: assign(name, args, opts) };
  }
  let honouredAt = 0;
  const created = new pulumi.ResourceHook(`${name}-created`, () => {
    honouredAt = Date.now() + propagation;
  });
  const honoured = new pulumi.ResourceHook(`${name}-honoured`, async () => {
    await new Promise((resolve) => setTimeout(resolve, honouredAt - Date.now()));
  });
  return {
    dependsOn: assign(name, args, { ...opts, hooks: { afterCreate: [created] } }),
    hooks: { beforeCreate: [honoured], beforeUpdate: [honoured] },
  };
}

const urlNamespace = Buffer.from("6ba7b8119dad11d180b400c04fd430c8", "hex");

/** The UUID of version 5 for a text in the namespace of URLs. */
function uuidOf(text: string): string {
  const bytes = createHash("sha1").update(urlNamespace).update(text).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Lets whoever holds a token of an issuer for a subject sign in as an identity. */
export interface Credential {
  name: string;
  issuer: pulumi.Input<string>;
  subject: string;
}

export interface WorkloadArgs extends Place {
  identityName: string;
  credentials: Credential[];
}

/** A managed identity that a workload or a pipeline signs in as, with tokens that it has anyway. */
export class Workload extends pulumi.ComponentResource {
  readonly clientId: pulumi.Output<string>;
  readonly principalId: pulumi.Output<string>;

  constructor(name: string, args: WorkloadArgs, opts: pulumi.ComponentResourceOptions) {
    super("gridos-infra:identity:Workload", name, {}, opts);
    const managed = new UserAssignedIdentity(`${name}-identity`, {
      resourceGroupName: args.resourceGroupName,
      resourceName: args.identityName,
      location: args.location,
      tags: args.tags,
    }, { parent: this });
    // Azure refuses a write to an identity while another is under way, so the credentials form a chain.
    let previous: pulumi.Resource | undefined;
    for (const credential of args.credentials) {
      previous = new FederatedIdentityCredential(`${name}-${credential.name}`, {
        resourceGroupName: args.resourceGroupName,
        resourceName: managed.name,
        federatedIdentityCredentialResourceName: credential.name,
        issuer: credential.issuer,
        subject: credential.subject,
        audiences: ["api://AzureADTokenExchange"],
      }, { parent: this, dependsOn: previous });
    }
    this.clientId = managed.clientId;
    this.principalId = managed.principalId;
    this.registerOutputs({ clientId: this.clientId, principalId: this.principalId });
  }
}
