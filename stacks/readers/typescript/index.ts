// The reference consumer in TypeScript: its reports need the database, and an allow list that lets the platform's
// workloads in.
import * as pulumi from "@pulumi/pulumi";

import { readPublished } from "./gridos";

const name = `${pulumi.getOrganization()}/gridos/${pulumi.getStack()}`;
const gridos = new pulumi.StackReference(name).outputs.apply(outputs =>
  readPublished(outputs, name, pulumi.runtime.isDryRun()));

export const database = gridos.apply(gridos => gridos && `${gridos.databaseHost}/${gridos.databaseName}`);
export const registry = gridos.apply(gridos => gridos && gridos.registryLoginServer);
export const allowed = gridos.apply(gridos => gridos && gridos.egressAddresses);
