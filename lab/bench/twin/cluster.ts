import { AgentPool } from "@pulumi/azure-native/containerservice/v20240901/agentPool";
import {
  listManagedClusterUserCredentialsOutput,
} from "@pulumi/azure-native/containerservice/v20240901/listManagedClusterUserCredentials";
import { MaintenanceConfiguration } from "@pulumi/azure-native/containerservice/v20240901/maintenanceConfiguration";
import { ManagedCluster } from "@pulumi/azure-native/containerservice/v20240901/managedCluster";
import { UserAssignedIdentity } from "@pulumi/azure-native/managedidentity/v20230131/userAssignedIdentity";
import * as pulumi from "@pulumi/pulumi";

import { Place } from "./common";
import { assign, assignBefore, Principal, roles } from "./identity";
import { signInWithKubelogin } from "./kubeconfig";
import { clusterTelemetry, Sink } from "./monitoring";
import { Settings } from "./settings";

export interface ClusterArgs extends Place {
  settings: Settings["cluster"];
  plan: Settings["network"];
  protect: boolean;
  subscriptionId: string;
  tenantId: string;
  deployer: Principal;
  subnetId: pulumi.Input<string>;
  networkId: pulumi.Input<string>;
  registryId: pulumi.Input<string>;
  authorizedRanges: string[];
  /** How long a new role assignment takes to be honoured, in milliseconds. */
  rolePropagation: number;
  diagnostics: Sink;
}

/** How many nodes more than its own a pool has while it is upgraded. */
const upgradeSettings = { maxSurge: "10%" };

/** The AKS cluster of one environment. */
export class Cluster extends pulumi.ComponentResource {
  readonly id: pulumi.Output<string>;
  readonly name: pulumi.Output<string>;
  readonly oidcIssuerUrl: pulumi.Output<string>;
  /** Signs in as whoever uses it; it is secret. */
  readonly kubeconfig: pulumi.Output<string>;

  constructor(name: string, args: ClusterArgs, opts: pulumi.ComponentResourceOptions) {
    super("gridos-infra:cluster:Cluster", name, {}, opts);
    const controlPlane = new UserAssignedIdentity(`${name}-identity`, {
      resourceGroupName: args.resourceGroupName,
      resourceName: args.names.clusterIdentity,
      location: args.location,
      tags: args.tags,
    }, { parent: this });
    // The cluster joins its nodes to subnets of a network that it does not own: its identity needs the right before it exists.
    const joined = assignBefore(`${name}-network-contributor`, {
      subscriptionId: args.subscriptionId,
      scope: args.networkId,
      principal: { id: controlPlane.principalId, type: "ServicePrincipal" },
      role: roles.networkContributor,
    }, args.rolePropagation, { parent: this });
    const managed = this.managedCluster(name, controlPlane.id, args, joined);
    this.children(name, managed, args);

    // Nodes pull with the kubelet's identity, not with the cluster's.
    assign(`${name}-acr-pull`, {
      subscriptionId: args.subscriptionId,
      scope: args.registryId,
      principal: {
        id: managed.identityProfile.apply((profile) => profile?.["kubeletidentity"]?.objectId ?? ""),
        type: "ServicePrincipal",
      },
      role: roles.acrPull,
    }, { parent: this });
    const admin = assign(`${name}-deployer-admin`, {
      subscriptionId: args.subscriptionId,
      scope: managed.id,
      principal: args.deployer,
      role: roles.clusterAdmin,
    }, { parent: this });
    args.diagnostics.watch(`${name}-aks`, managed.id, clusterTelemetry, { parent: this });

    this.id = managed.id;
    this.name = managed.name;
    this.oidcIssuerUrl = managed.oidcIssuerProfile.apply((profile) => profile?.issuerURL ?? "");
    this.kubeconfig = this.credentials(managed, admin, args);
    this.registerOutputs({ id: this.id, name: this.name, oidcIssuerUrl: this.oidcIssuerUrl, kubeconfig: this.kubeconfig });
  }

  private managedCluster(
    name: string, identityId: pulumi.Output<string>, args: ClusterArgs, joined: pulumi.CustomResourceOptions,
  ): ManagedCluster {
    const { plan, settings } = args;
    return new ManagedCluster(`${name}-aks`, {
      resourceGroupName: args.resourceGroupName,
      resourceName: args.names.cluster,
      location: args.location,
      dnsPrefix: args.names.clusterDnsPrefix,
      nodeResourceGroup: args.names.nodeResourceGroup,
      kubernetesVersion: settings.kubernetesVersion,
      autoUpgradeProfile: {
        upgradeChannel: settings.upgradeChannel,
        nodeOSUpgradeChannel: settings.nodeOsUpgradeChannel,
      },
      sku: { name: "Base", tier: settings.tier },
      identity: { type: "UserAssigned", userAssignedIdentities: [identityId] },
      enableRBAC: true,
      aadProfile: { managed: true, enableAzureRBAC: true, tenantID: args.tenantId, adminGroupObjectIDs: [] },
      disableLocalAccounts: true, // needs the Entra profile above
      oidcIssuerProfile: { enabled: true },
      securityProfile: { workloadIdentity: { enabled: true } },
      apiServerAccessProfile: { authorizedIPRanges: args.authorizedRanges },
      addonProfiles: { azurepolicy: { enabled: settings.azurePolicy } },
      // The revision is left to Azure, which picks the one that goes with the Kubernetes version.
      serviceMeshProfile: {
        mode: "Istio",
        istio: { components: { ingressGateways: [{ enabled: true, mode: "Internal" }] } },
      },
      networkProfile: {
        networkPlugin: "azure",
        networkPluginMode: "overlay",
        networkDataplane: "cilium",
        networkPolicy: "cilium",
        loadBalancerSku: "standard",
        podCidr: plan.pods,
        serviceCidr: plan.services,
        dnsServiceIP: plan.dnsService,
      },
      // Exactly one pool is part of the cluster; Azure cannot change inline pools one by one.
      agentPoolProfiles: [{
        name: "system",
        mode: "System",
        type: "VirtualMachineScaleSets",
        osType: "Linux",
        osSKU: "AzureLinux",
        vmSize: settings.systemPool.vmSize,
        orchestratorVersion: settings.kubernetesVersion,
        vnetSubnetID: args.subnetId,
        availabilityZones: settings.zones,
        enableAutoScaling: true,
        minCount: settings.systemPool.min,
        maxCount: settings.systemPool.max,
        count: settings.systemPool.min,
        maxPods: settings.maxPods,
        upgradeSettings,
        nodeTaints: ["CriticalAddonsOnly=true:NoSchedule"],
      }],
      tags: args.tags,
    }, {
      ...joined,
      parent: this,
      protect: args.protect,
      // The autoscaler owns the number of nodes. It is sent all the same: Azure requires it.
      ignoreChanges: ["agentPoolProfiles[*].count"],
    });
  }

  /** Registers what belongs to the cluster, which takes one operation at a time: as a chain. */
  private children(name: string, managed: ManagedCluster, args: ClusterArgs): void {
    const { maintenance, userPool, ...settings } = args.settings;
    let last: pulumi.Resource = new AgentPool(`${name}-user-pool`, {
      resourceGroupName: args.resourceGroupName,
      resourceName: managed.name,
      agentPoolName: "user",
      mode: "User",
      type: "VirtualMachineScaleSets",
      osType: "Linux",
      osSKU: "AzureLinux",
      vmSize: userPool.vmSize,
      orchestratorVersion: settings.kubernetesVersion,
      vnetSubnetID: args.subnetId,
      availabilityZones: settings.zones,
      enableAutoScaling: true,
      minCount: userPool.min,
      maxCount: userPool.max,
      count: userPool.min,
      maxPods: settings.maxPods,
      upgradeSettings,
      tags: args.tags,
    }, { parent: this, ignoreChanges: ["count"] });
    // Azure upgrades nothing outside of these windows, which bear names that it knows.
    for (const [window, configName] of [
      ["kubernetes", "aksManagedAutoUpgradeSchedule"],
      ["node-os", "aksManagedNodeOSUpgradeSchedule"],
    ] as const) {
      last = new MaintenanceConfiguration(`${name}-maintenance-${window}`, {
        resourceGroupName: args.resourceGroupName,
        resourceName: managed.name,
        configName,
        maintenanceWindow: {
          schedule: { weekly: { dayOfWeek: maintenance.day, intervalWeeks: 1 } },
          startTime: maintenance.start,
          durationHours: maintenance.hours,
          utcOffset: "+00:00",
        },
      }, { parent: this, dependsOn: last });
    }
  }

  /** Asks for the cluster's user credentials: with local accounts off there are no others. */
  private credentials(managed: ManagedCluster, admin: pulumi.Resource, args: ClusterArgs): pulumi.Output<string> {
    const answer = listManagedClusterUserCredentialsOutput({
      resourceGroupName: args.resourceGroupName,
      resourceName: managed.name,
      format: "exec",
    }, { parent: this, dependsOn: [admin] });
    return pulumi.secret(answer.kubeconfigs.apply(([first]) => {
      if (!first) {
        throw new Error("Azure returned no kubeconfig for the cluster; is it running?");
      }
      return signInWithKubelogin(Buffer.from(first.value, "base64").toString(), args.settings.loginMode);
    }));
  }
}
