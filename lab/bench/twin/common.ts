import * as pulumi from "@pulumi/pulumi";

import { Names } from "./naming";

/** What every part of the environment is given. */
export interface Place {
  names: Names;
  location: string;
  resourceGroupName: pulumi.Input<string>;
  tags: Record<string, string>;
}
