import { getClientConfig } from "@pulumi/azure-native/authorization/getClientConfig";
import { Provider as AzureProvider } from "@pulumi/azure-native/provider";
import { ResourceGroup } from "@pulumi/azure-native/resources/v20240301/resourceGroup";
import * as pulumi from "@pulumi/pulumi";
import { Provider as RandomProvider } from "@pulumi/random/provider";

import { Cluster } from "./cluster";
import { Place } from "./common";
import { Database } from "./database";
import { Gateway } from "./gateway";
import { Principal } from "./identity";
import { Monitoring } from "./monitoring";
import { Network } from "./network";
import { Registry } from "./registry";
import { loadSettings } from "./settings";
import { Vault } from "./vault";
import { workloads } from "./workloads";

/** Registers the environment that the running stack is named after, and returns the stack's outputs. */
export async function program(): Promise<Record<string, pulumi.Input<string | number>>> {
  const settings = loadSettings();
  const { location, names, protect } = settings;
  const azure = new AzureProvider("azure", { location });
  const generator = new RandomProvider("random");
  const caller = await getClientConfig({ provider: azure });
  if (settings.subscriptionId && settings.subscriptionId.toLowerCase() !== caller.subscriptionId.toLowerCase()) {
    throw new Error(`signed in to subscription ${caller.subscriptionId}, but the stack is for ${settings.subscriptionId}`);
  }
  const { subscriptionId, tenantId } = caller;
  const deployer: Principal = { id: caller.objectId, type: "User" };
  const opts = { providers: [azure, generator] };
  const tags = {
    environment: names.environment,
    owner: settings.owner,
    "cost-centre": settings.costCentre,
    "managed-by": "pulumi",
    project: pulumi.getProject(),
  };
  const prefix = names.environment;

  const group = new ResourceGroup(`${prefix}-group`, {
    resourceGroupName: names.resourceGroup, location, tags,
  }, { provider: azure });
  const place: Place = { names, location, resourceGroupName: group.name, tags };
  const monitoring = new Monitoring(`${prefix}-monitoring`, { ...place, ...settings.monitoring }, opts);
  const diagnostics = monitoring.sink;
  const network = new Network(`${prefix}-network`, { ...place, plan: settings.network, diagnostics }, opts);
  const registry = new Registry(`${prefix}-registry`, { ...place, ...settings.registry, diagnostics }, opts);
  const vault = new Vault(`${prefix}-vault`, {
    ...place, ...settings.vault, protect, subscriptionId, tenantId, deployer, diagnostics,
    authorizedRanges: settings.authorizedRanges, nodesSubnetId: network.aksSubnetId,
  }, opts);
  // What field gateways show to the application when they send telemetry.
  vault.generateSecret(`${prefix}-ingest-token`, { secretName: names.ingestTokenSecret, resourceGroupName: group.name, tags });
  const database = new Database(`${prefix}-database`, {
    ...place, settings: settings.database, protect, tenantId, diagnostics,
    subnetId: network.postgresSubnetId, zoneId: network.postgresZoneId, zoneLink: network.postgresZoneLink,
    vaultName: vault.name, vaultAccess: vault.access,
  }, opts);
  const cluster = new Cluster(`${prefix}-cluster`, {
    ...place, settings: settings.cluster, plan: settings.network, protect, subscriptionId, tenantId, deployer, diagnostics,
    subnetId: network.aksSubnetId, networkId: network.id, registryId: registry.id,
    authorizedRanges: settings.authorizedRanges, rolePropagation: settings.rolePropagation,
  }, opts);
  const gateway = new Gateway(`${prefix}-gateway`, {
    ...place, settings: settings.gateway, subscriptionId, diagnostics,
    subnetId: network.gatewaySubnetId, backendIp: settings.network.ingressIp,
  }, opts);
  const identities = workloads({
    ...place, subscriptionId, pipelineSubjects: settings.pipelineSubjects,
    issuer: cluster.oidcIssuerUrl, vaultId: vault.id, registryId: registry.id,
  }, opts);

  return {
    contractVersion: 1,
    location,
    subscriptionId,
    tenantId,
    resourceGroupName: group.name,
    virtualNetworkId: network.id,
    clusterName: cluster.name,
    clusterId: cluster.id,
    oidcIssuerUrl: cluster.oidcIssuerUrl,
    kubeconfig: cluster.kubeconfig,
    registryLoginServer: registry.loginServer,
    keyVaultName: vault.name,
    keyVaultUri: vault.uri,
    databaseHost: database.host,
    databaseName: database.name,
    databaseUser: database.user,
    databasePasswordSecretName: database.passwordSecretName,
    gatewayPublicIp: gateway.publicIp,
    ingressIp: settings.network.ingressIp,
    logAnalyticsWorkspaceId: monitoring.workspaceId,
    secretsClientId: identities.secrets.clientId,
    workloadClientId: identities.application.clientId,
    pipelineClientId: identities.pipeline.clientId,
  };
}
