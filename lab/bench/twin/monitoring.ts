import { DiagnosticSetting } from "@pulumi/azure-native/insights/v20210501preview/diagnosticSetting";
import { Workspace } from "@pulumi/azure-native/operationalinsights/v20230901/workspace";
import * as pulumi from "@pulumi/pulumi";

import { Place } from "./common";

/** What a type of resource can tell about itself: groups of categories or, where these would cost too much, single ones. */
export interface Telemetry {
  groups?: string[];
  categories?: string[];
  metrics?: boolean;
}

export const logs: Telemetry = { groups: ["allLogs"] };

export const logsAndMetrics: Telemetry = { groups: ["allLogs"], metrics: true };

// kube-audit-admin leaves out the reads of kube-audit, which would be nine tenths of the bill.
export const clusterTelemetry: Telemetry = {
  categories: [
    "kube-apiserver", "kube-audit-admin", "kube-controller-manager", "kube-scheduler",
    "cluster-autoscaler", "cloud-controller-manager", "guard",
  ],
  metrics: true,
};

/** Sends telemetry to a Log Analytics workspace. */
export class Sink {
  constructor(private readonly workspaceId: pulumi.Input<string>) {}

  /** Registers the diagnostic setting <name>-diagnostics on the resource with the ARM id target. */
  watch(name: string, target: pulumi.Input<string>, telemetry: Telemetry, opts: pulumi.CustomResourceOptions): void {
    new DiagnosticSetting(`${name}-diagnostics`, {
      name: "log-analytics",
      resourceUri: target,
      workspaceId: this.workspaceId,
      logs: [
        ...(telemetry.groups ?? []).map((categoryGroup) => ({ categoryGroup, enabled: true })),
        ...(telemetry.categories ?? []).map((category) => ({ category, enabled: true })),
      ],
      metrics: telemetry.metrics ? [{ category: "AllMetrics", enabled: true }] : undefined,
    }, opts);
  }
}

export interface MonitoringArgs extends Place {
  retentionDays: number;
}

/** The workspace that the environment's logs go to. */
export class Monitoring extends pulumi.ComponentResource {
  readonly workspaceId: pulumi.Output<string>;
  readonly sink: Sink;

  constructor(name: string, args: MonitoringArgs, opts: pulumi.ComponentResourceOptions) {
    super("gridos-infra:monitoring:Monitoring", name, {}, opts);
    const workspace = new Workspace(`${name}-workspace`, {
      resourceGroupName: args.resourceGroupName,
      workspaceName: args.names.workspace,
      location: args.location,
      sku: { name: "PerGB2018" },
      retentionInDays: args.retentionDays,
      tags: args.tags,
    }, { parent: this });
    this.workspaceId = workspace.id;
    this.sink = new Sink(workspace.id);
    this.sink.watch(`${name}-workspace`, workspace.id, logsAndMetrics, { parent: this });
    this.registerOutputs({ workspaceId: this.workspaceId });
  }
}
