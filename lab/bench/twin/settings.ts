import * as pulumi from "@pulumi/pulumi";

import { namesOf } from "./naming";

const units = { ms: 1, s: 1_000, m: 60_000 };

/** Reads a duration of one unit, such as 200ms or 30s. */
function milliseconds(text: string): number {
  const match = /^(\d+)(ms|s|m)$/.exec(text);
  if (!match) {
    throw new Error(`${text} is not a duration; write it like 30s`);
  }
  return Number(match[1]) * units[match[2] as keyof typeof units];
}

/** What the environment is, with dev's values where the stack's file has none. */
export function loadSettings() {
  const config = new pulumi.Config();
  const environment = pulumi.getStack();
  return {
    names: namesOf(environment),
    location: config.get("location") ?? "westeurope",
    owner: config.get("owner") ?? "platform",
    costCentre: config.get("costCentre") ?? "gridos",
    protect: config.getBoolean("protect") ?? false,
    subscriptionId: config.get("subscriptionId") ?? "",
    /** Public addresses of people and pipelines, who reach the API server and the vault from there. */
    authorizedRanges: config.requireObject<string[]>("authorizedRanges"),
    pipelineSubjects: config.getObject<string[]>("pipelineSubjects") ?? [`repo:gridos/sharedinfra:environment:${environment}`],
    /** How long a new role assignment takes to be honoured, in milliseconds. */
    rolePropagation: milliseconds(config.get("rolePropagation") ?? "30s"),
    network: {
      addressSpace: "10.10.0.0/16",
      aks: "10.10.0.0/20",
      appGateway: "10.10.16.0/24",
      postgres: "10.10.17.0/24",
      ingress: "10.10.18.0/24",
      endpoints: "10.10.19.0/24",
      pods: "10.244.0.0/16",
      services: "10.96.0.0/16",
      dnsService: "10.96.0.10",
      /** The fixed address of the edge load balancer. */
      ingressIp: "10.10.18.10",
    },
    cluster: {
      kubernetesVersion: "1.35",
      upgradeChannel: "patch",
      nodeOsUpgradeChannel: "NodeImage",
      maintenance: { day: "Sunday", start: "02:00", hours: 4 },
      tier: "Free",
      systemPool: { vmSize: "Standard_D2ds_v5", min: 1, max: 3 },
      userPool: { vmSize: "Standard_D4ds_v5", min: 1, max: 3 },
      maxPods: 110,
      zones: ["1", "2", "3"],
      azurePolicy: false,
      loginMode: "azurecli",
    },
    registry: { sku: "Standard" },
    vault: { softDeleteDays: 7 },
    database: {
      version: "16",
      skuTier: "Burstable",
      skuName: "Standard_B2s",
      storageGb: 32,
      backupDays: 7,
      geoRedundantBackup: "Disabled",
      highAvailability: "Disabled",
      adminLogin: "gridosadmin",
    },
    gateway: { minCapacity: 1, maxCapacity: 2, zones: [] as string[] },
    monitoring: { retentionDays: 30 },
  };
}

export type Settings = ReturnType<typeof loadSettings>;
