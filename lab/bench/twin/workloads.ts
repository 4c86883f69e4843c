import * as pulumi from "@pulumi/pulumi";

import { Place } from "./common";
import { assign, Credential, roles, Workload } from "./identity";

export interface WorkloadsArgs extends Place {
  subscriptionId: string;
  pipelineSubjects: string[];
  /** The OIDC issuer of the cluster. */
  issuer: pulumi.Input<string>;
  vaultId: pulumi.Input<string>;
  registryId: pulumi.Input<string>;
}

/** Registers the identities of what runs in the cluster and in pipelines, with the roles that they need. */
export function workloads(args: WorkloadsArgs, opts: pulumi.ComponentResourceOptions) {
  const { names } = args;
  const serviceAccount = (namespace: string, account: string): Credential => ({
    name: "kubernetes", issuer: args.issuer, subject: `system:serviceaccount:${namespace}:${account}`,
  });

  const secrets = new Workload(`${names.environment}-secrets`, {
    ...args, identityName: names.secretsIdentity, credentials: [serviceAccount("external-secrets", "external-secrets")],
  }, opts);
  grant(secrets, `${names.environment}-secrets-role`, args.subscriptionId, args.vaultId, roles.keyVaultSecretsUser);

  const application = new Workload(`${names.environment}-application`, {
    ...args, identityName: names.workloadIdentity, credentials: [serviceAccount(names.application, names.application)],
  }, opts);

  const pipeline = new Workload(`${names.environment}-pipeline`, {
    ...args, identityName: names.pipelineIdentity, credentials: args.pipelineSubjects.map(fromGitHub),
  }, opts);
  grant(pipeline, `${names.environment}-pipeline-role`, args.subscriptionId, args.registryId, roles.acrPush);

  return { secrets, application, pipeline };
}

/** The credential is named after its subject, so that reordering a list of subjects changes nothing. */
function fromGitHub(subject: string): Credential {
  return {
    name: `github-${subject.replace(/[^A-Za-z0-9]+/g, "-")}`.slice(0, 120),
    issuer: "https://token.actions.githubusercontent.com",
    subject,
  };
}

function grant(workload: Workload, name: string, subscriptionId: string, scope: pulumi.Input<string>, role: string): void {
  assign(name, { subscriptionId, scope, principal: { id: workload.principalId, type: "ServicePrincipal" }, role }, { parent: workload });
}
