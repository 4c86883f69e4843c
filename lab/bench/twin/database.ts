import { Configuration } from "@pulumi/azure-native/dbforpostgresql/v20240801/configuration";
import { Database as ServerDatabase } from "@pulumi/azure-native/dbforpostgresql/v20240801/database";
import { Server } from "@pulumi/azure-native/dbforpostgresql/v20240801/server";
import { Secret } from "@pulumi/azure-native/keyvault/v20241101/secret";
import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random/randomPassword";

import { Place } from "./common";
import { logsAndMetrics, Sink } from "./monitoring";
import { Settings } from "./settings";

export interface DatabaseArgs extends Place {
  settings: Settings["database"];
  protect: boolean;
  tenantId: string;
  subnetId: pulumi.Input<string>;
  zoneId: pulumi.Input<string>;
  zoneLink: pulumi.Resource;
  vaultName: pulumi.Input<string>;
  vaultAccess: pulumi.Resource;
  diagnostics: Sink;
}

/** The PostgreSQL server, its database and its password, which is handed on through the key vault only. */
export class Database extends pulumi.ComponentResource {
  readonly host: pulumi.Output<string>;
  readonly name: pulumi.Output<string>;
  readonly user: pulumi.Output<string>;
  readonly passwordSecretName: pulumi.Output<string>;

  constructor(name: string, args: DatabaseArgs, opts: pulumi.ComponentResourceOptions) {
    super("gridos-infra:database:Database", name, {}, opts);
    const { resourceGroupName, settings } = args;
    const password = new RandomPassword(`${name}-password`, {
      length: 32,
      overrideSpecial: "-_.~", // no character that a connection URL would need to escape
      minLower: 1,
      minUpper: 1,
      minNumeric: 1,
    }, { parent: this });
    const server = new Server(`${name}-server`, {
      resourceGroupName,
      serverName: args.names.postgresServer,
      location: args.location,
      version: settings.version,
      administratorLogin: settings.adminLogin,
      administratorLoginPassword: password.result,
      sku: { name: settings.skuName, tier: settings.skuTier },
      // What Azure grew by itself it would be told to shrink at the next update, which it refuses.
      storage: { storageSizeGB: settings.storageGb, autoGrow: "Disabled" },
      backup: { backupRetentionDays: settings.backupDays, geoRedundantBackup: settings.geoRedundantBackup },
      highAvailability: { mode: settings.highAvailability },
      authConfig: { activeDirectoryAuth: "Enabled", passwordAuth: "Enabled", tenantId: args.tenantId },
      network: { delegatedSubnetResourceId: args.subnetId, privateDnsZoneArmResourceId: args.zoneId },
      tags: args.tags,
    }, {
      parent: this,
      protect: args.protect,
      dependsOn: args.zoneLink,
      // A failover swaps the two zones; that is no drift to undo.
      ignoreChanges: ["availabilityZone", "highAvailability.standbyAvailabilityZone"],
    });
    args.diagnostics.watch(`${name}-server`, server.id, logsAndMetrics, { parent: this });
    // The server takes one operation at a time and refuses a second, so its children form a chain.
    const database = new ServerDatabase(`${name}-gridos`, {
      resourceGroupName,
      serverName: server.name,
      databaseName: args.names.application,
      charset: "UTF8",
      collation: "en_US.utf8",
    }, { parent: this, dependsOn: server });
    new Configuration(`${name}-tls`, {
      resourceGroupName,
      serverName: server.name,
      configurationName: "ssl_min_protocol_version",
      source: "user-override",
      value: "TLSv1.2",
      // A parameter exists as long as its server and cannot be deleted.
    }, { parent: this, dependsOn: database, retainOnDelete: true });
    const secret = new Secret(`${name}-password-secret`, {
      resourceGroupName,
      vaultName: args.vaultName,
      secretName: args.names.databasePasswordSecret,
      properties: { value: password.result },
      tags: args.tags,
    }, { parent: this, dependsOn: args.vaultAccess });
    this.host = server.fullyQualifiedDomainName;
    this.name = database.name;
    this.user = pulumi.output(settings.adminLogin);
    this.passwordSecretName = secret.name;
    this.registerOutputs({ host: this.host, name: this.name, user: this.user, passwordSecretName: this.passwordSecretName });
  }
}
