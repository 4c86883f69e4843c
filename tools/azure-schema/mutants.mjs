// Writes requests that Azure's specifications refuse: each has one wrong, missing or additional property. It reads the
// packages by itself, and not azure.json, so that a mistake of derive.mjs is found: lists of values from the comments of the
// declarations, and bounds by asking Microsoft's serializer, which must refuse the mutant.
//
//   node mutants.mjs > ../../lab/internal/azure/testdata/mutants.json

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createSerializer } from "@azure/core-client";

const count = 1600; // More than the test plays: the types of the SDK cannot express all of them.
const depth = 6;
const here = fileURLToPath(new URL(".", import.meta.url));

/** A generator of numbers from 0 to 1 that is the same in each run (mulberry32). */
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A package: its mappers as code, all else as text. */
async function open(name) {
  const folder = ["dist-esm/src", "dist/esm"].map((path) => join(here, "node_modules", name, path)).find((path) => existsSync(path));
  const text = (file) => readFileSync(join(folder, file), "utf8");
  return {
    mappers: await import("data:text/javascript," + encodeURIComponent(text("models/mappers.js"))),
    parameters: text("models/parameters.js"),
    declarations: text("models/index.d.ts"),
    operations: readdirSync(join(folder, "operations")).filter((file) => file.endsWith(".js")).map((file) => text(join("operations", file))).join("\n"),
  };
}

/** The name of the mapper for the body of the PUT of a resource type. */
function bodyOf(from, kind) {
  const [provider, ...types] = kind.split("/");
  const path = (kind === "Microsoft.Resources/resourceGroups" ? "/subscriptions" : `/providers/${provider}`)
    + types.map((type) => (kind === "Microsoft.Resources/resourceGroups" ? `/{[^}]+}/${type}/{[^}]+}` : `/${type}/{[^}]+}`)).join("");
  const request = new RegExp(`path: "[^"]*${path}",\\s*httpMethod: "PUT",[\\s\\S]*?requestBody: Parameters\\.(\\w+)`, "i").exec(from.operations);
  return new RegExp(`export const ${request[1]} = {[^}]*mapper: (\\w+?)Mapper\\b`).exec(from.parameters)[1];
}

/** The values of the open list of a property, as the comment over its type has them. */
function knownValues(from, className, key) {
  const interfaces = new RegExp(`export (?:declare )?interface ${className} (?:extends ([\\w, ]+))?\\{([\\s\\S]*?)\\n\\}`).exec(from.declarations);
  if (!interfaces) return [];
  const type = new RegExp(`\\n    ${key}\\??: (\\w+)`).exec(interfaces[2])?.[1];
  if (!type) return (interfaces[1] ?? "").split(", ").filter(Boolean).flatMap((parent) => knownValues(from, parent.trim(), key));
  const end = from.declarations.search(new RegExp(`\\nexport (declare )?type ${type} = string;`));
  if (end < 0) return [];
  const comment = from.declarations.slice(from.declarations.lastIndexOf("/**", end), end);
  return [...comment.matchAll(/^ \* \*\*(.+?)\*\*/gm)].map((match) => match[1]);
}

const serializer = createSerializer({}, false);

/** Whether Microsoft's serializer finds that a value is out of bounds. */
function refused(mapper, value) {
  try {
    serializer.validateConstraints(mapper, value, mapper.serializedName);
    return false;
  } catch {
    return true;
  }
}

/** Whether a type is a model with subtypes, whose properties azure.json does not have. */
const hasSubtypes = (from, type) => Boolean(from.mappers[type.className]?.type.polymorphicDiscriminator);

/** Values of a property that are wrong, each with the reason. */
function* wrong(from, className, key, mapper) {
  const { type, constraints = {} } = mapper;
  if (mapper.readOnly) return yield ["read-only", "mutant"];
  if (mapper.required && !mapper.isConstant) yield ["missing"];
  const values = type.name === "Enum" ? type.allowedValues : type.name === "String" ? knownValues(from, className, key) : [];
  if (values.length > 0) yield ["value", `${values[0]}Mutant`];
  const bounds = {
    InclusiveMinimum: (n) => n - 1, InclusiveMaximum: (n) => n + 1, ExclusiveMinimum: (n) => n, ExclusiveMaximum: (n) => n,
    MaxLength: (n) => "a".repeat(n + 1), MinLength: (n) => "a".repeat(Math.max(n - 1, 0)), Pattern: () => "*mutant*",
    MaxItems: (n) => Array.from({ length: n + 1 }, (_, i) => `item${i}`), UniqueItems: () => ["item", "item"],
  };
  for (const [name, of] of Object.entries(constraints)) {
    if (refused(mapper, bounds[name](of))) yield ["bound", bounds[name](of)];
  }
  const other = { Boolean: "perhaps", Number: "many", String: { mutant: true }, Sequence: "one", Composite: "one", Dictionary: "one" }[type.name];
  if (other !== undefined && !hasSubtypes(from, type)) yield ["type", other];
}

/** Every mutant of a model. A step of a path is a name on the wire, or [the wire's, the clients'] name; "[]" is an element. */
function* mutantsOf(from, className, path, within) {
  if (within.includes(className) || path.length > depth) return;
  yield { path: [...path, "mutant"], why: "unknown", value: "mutant" };
  const properties = Object.entries(from.mappers[className].type.modelProperties ?? {});
  for (const [key, mapper] of properties) {
    const wire = mapper.serializedName.split(/(?<!\\)\./).at(-1).replaceAll("\\.", ".");
    // Two properties may have one last name, such as the type of a pool and of its resource: clients see the one that can be set.
    if (mapper.readOnly && properties.some(([, m]) => !m.readOnly && m.serializedName.endsWith("." + wire))) continue;
    const step = wire === key ? wire : [wire, key];
    for (const [why, value] of wrong(from, className, key, mapper)) yield { path: [...path, step], why, value };
    if (mapper.readOnly) continue;
    let inner = mapper;
    const further = [...path, step];
    for (; inner.type.name === "Sequence"; inner = inner.type.element) further.push("[]");
    if (inner.type.name === "Composite" && !hasSubtypes(from, inner.type)) {
      yield* mutantsOf(from, inner.type.className, further, [...within, className]);
    }
  }
}

const all = [];
for (const [name, kinds] of Object.entries(JSON.parse(readFileSync(join(here, "types.json"), "utf8")))) {
  const from = await open(name);
  for (const kind of kinds) {
    for (const mutant of mutantsOf(from, bodyOf(from, kind), [], [])) all.push({ kind, ...mutant });
  }
}
// All reasons get their turn, so that the few bounds are not lost among thousands of types.
const random = seeded(20);
const byReason = new Map();
for (const mutant of all) byReason.set(mutant.why, [...(byReason.get(mutant.why) ?? []), mutant]);
const chosen = [];
while (chosen.length < Math.min(count, all.length)) {
  for (const rest of byReason.values()) {
    if (rest.length > 0) chosen.push(...rest.splice(Math.floor(random() * rest.length), 1));
  }
}
process.stdout.write("[\n" + chosen.slice(0, count).map((mutant) => " " + JSON.stringify(mutant)).join(",\n") + "\n]\n");
