import { appendFileSync, writeFileSync } from "node:fs";

import { EngineEvent, LocalWorkspace } from "@pulumi/pulumi/automation";

import { program } from "./program";

/** Previews the stack once, and prints how many resources would have what done with them. */
async function main(): Promise<void> {
  const workDir = variable("TWIN_WORKDIR");
  const stackName = variable("TWIN_STACK");
  // The project is the one of the directory, whose runtime does not matter: the engine is told to call this process.
  const stack = await LocalWorkspace.selectStack({ projectName: "gridos-infra", stackName, program }, { workDir });
  const { changeSummary } = await stack.preview({ onEvent: recorder(process.env["TWIN_EVENTS"]) });
  console.log(JSON.stringify({ changes: changeSummary }));
}

/** Returns what writes each event of the engine as a line of JSON to the file; nothing without a file. */
function recorder(path: string | undefined): ((event: EngineEvent) => void) | undefined {
  if (!path) {
    return undefined;
  }
  writeFileSync(path, "");
  return (event) => appendFileSync(path, `${JSON.stringify(event)}\n`);
}

function variable(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set`);
  }
  return value;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
