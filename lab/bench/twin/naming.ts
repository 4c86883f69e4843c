const application = "gridos";

/** The names of the environment's Azure resources, and those in Kubernetes that they refer to. */
export function namesOf(environment: string) {
  const base = `${environment}-${application}`;
  return {
    application,
    environment,
    resourceGroup: `${base}-rg`,
    virtualNetwork: `${base}-vnet`,
    cluster: `${base}-aks`,
    clusterDnsPrefix: base,
    nodeResourceGroup: `${base}-aks-nodes-rg`,
    clusterIdentity: `${base}-aks-id`,
    registry: `${environment}${application}acr`,
    vault: `${base}-kv`,
    postgresServer: `${base}-pg`,
    postgresZone: `${base}.private.postgres.database.azure.com`,
    gateway: `${base}-agw`,
    gatewayPublicIp: `${base}-agw-pip`,
    firewallPolicy: `${base}-waf`,
    secretsIdentity: `${base}-secrets-id`,
    workloadIdentity: `${base}-id`,
    pipelineIdentity: `${base}-pipeline-id`,
    workspace: `${base}-log`,
    databasePasswordSecret: `${application}-db-password`,
    ingestTokenSecret: `${application}-ingest-token`,
    securityGroup: (purpose: string) => `${base}-${purpose}-nsg`,
  };
}

export type Names = ReturnType<typeof namesOf>;
