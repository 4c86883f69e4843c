// Writes what Microsoft's packages say about the resource types of types.json: for each property of a request whether it is
// required or read-only, its type, its values, and its bounds. The packages are generated from Azure's own REST
// specifications; each one is read where it keeps that:
//   models/mappers.js     properties with the names of the wire, required, read-only, bounds, closed lists of values
//   models/index.d.ts     which property has which open list of values ("Known…"), which mappers do not tell
//   models/parameters.js  bounds of names, which are parts of the path
//   operations/*.js       which model and which path belong to the PUT of a type
//
//   node derive.mjs > ../../lab/internal/azure/schema/azure.json

import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const here = fileURLToPath(new URL(".", import.meta.url));

/** What a package has as modules: mappers, parameters and models run as code; operations and declarations are read as text. */
async function read(name) {
  const root = join(here, "node_modules", name);
  const source = ["dist/esm", "dist-esm/src"].map((p) => join(root, p)).find((p) => existsSync(join(p, "models/mappers.js")));
  if (!source) throw new Error(`${name} has no models/mappers.js; take a version that is generated with mappers`);
  const copy = mkdtempSync(join(tmpdir(), "azure-schema-"));
  try {
    writeFileSync(join(copy, "package.json"), '{"type":"module"}');
    cpSync(join(source, "models"), join(copy, "models"), { recursive: true });
    const parameters = join(copy, "models/parameters.js");
    // The older packages leave out the extension, which Node wants.
    writeFileSync(parameters, readFileSync(parameters, "utf8").replace(/from "\.\.\/models\/mappers"/g, 'from "../models/mappers.js"'));
    const load = (file) => import(pathToFileURL(join(copy, "models", file)));
    return {
      name,
      version: JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version,
      mappers: await load("mappers.js"),
      parameters: await load("parameters.js"),
      known: await load("index.js"),
      declarations: declarations(join(source, "models/index.d.ts")),
      requests: requests(join(source, "operations")),
    };
  } finally {
    rmSync(copy, { recursive: true });
  }
}

const parse = (file) => ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);

/** The interfaces of a declaration file: name → { extends, properties: name → the name of its type, or of its elements'. */
function declarations(file) {
  const found = new Map();
  parse(file).forEachChild((node) => {
    if (!ts.isInterfaceDeclaration(node)) return;
    const properties = new Map();
    for (const member of node.members) {
      if (!ts.isPropertySignature(member) || !member.type) continue;
      let type = member.type;
      while (ts.isArrayTypeNode(type)) type = type.elementType;
      if (ts.isTypeReferenceNode(type)) properties.set(member.name.text, type.typeName.getText());
    }
    const parents = (node.heritageClauses ?? []).flatMap((clause) => clause.types.map((type) => type.expression.getText()));
    found.set(node.name.text, { parents, properties });
  });
  return found;
}

/** The name of the type of a property in an interface, or in what it extends. */
function declared(all, model, property) {
  const own = all.get(model);
  if (!own) return undefined;
  return own.properties.get(property) ?? own.parents.map((parent) => declared(all, parent, property)).find(Boolean);
}

/** The PUT requests of a package, by resource type in lower case: the names of their path, body, parameters. */
function requests(folder) {
  const found = new Map();
  const text = (node) => (ts.isPropertyAccessExpression(node) ? node.name.text : node.text);
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".js"))) {
    parse(join(folder, file)).forEachChild((statement) => {
      if (!ts.isVariableStatement(statement)) return;
      for (const { initializer } of statement.declarationList.declarations) {
        if (!initializer || !ts.isObjectLiteralExpression(initializer)) continue;
        const has = Object.fromEntries(initializer.properties.filter(ts.isPropertyAssignment).map((p) => [p.name.text, p.initializer]));
        if (!has.path || has.httpMethod?.text !== "PUT" || !has.requestBody) continue;
        const kind = kindOf(has.path.text);
        if (!kind || found.has(kind)) continue; // "…ById" repeats the request under a path that names no type.
        found.set(kind, {
          path: has.path.text,
          body: text(has.requestBody),
          query: has.queryParameters?.elements.map(text) ?? [],
          names: has.urlParameters?.elements.map(text) ?? [],
        });
      }
    });
  }
  return found;
}

/** The resource type, in lower case, that a path leads to. */
function kindOf(path) {
  if (/^\/subscriptions\/\{[^}]+\}\/resourcegroups\/\{[^}]+\}$/i.test(path)) return "microsoft.resources/resourcegroups";
  const [, provider] = path.split(/\/providers\/(?!.*\/providers\/)/);
  if (!provider || provider.startsWith("{")) return undefined;
  const parts = provider.split("/");
  if (parts.length % 2 === 0 || !parts.at(-1).startsWith("{")) return undefined;
  return [parts[0], ...parts.filter((_, i) => i % 2 === 1)].join("/").toLowerCase();
}

/** The bounds of a mapper under the names that the data file has for them. */
function bounds(constraints = {}) {
  const names = {
    Pattern: "pattern", MinLength: "minLength", MaxLength: "maxLength", MinItems: "minItems", MaxItems: "maxItems", UniqueItems: "uniqueItems",
    InclusiveMinimum: "minimum", InclusiveMaximum: "maximum", ExclusiveMinimum: "exclusiveMinimum", ExclusiveMaximum: "exclusiveMaximum",
    MultipleOf: "multipleOf",
  };
  return Object.fromEntries(Object.entries(constraints).map(([key, value]) => {
    if (!names[key]) throw new Error(`a constraint ${key} is not known here`);
    return [names[key], value instanceof RegExp ? value.source : value];
  }));
}

/** Adds the model className of a package to all, with every model that a request can reach from there. */
function addModel(all, from, className) {
  const id = `${from.name.replace("@azure/arm-", "")}.${className}`;
  if (all[id]) return id;
  const mapper = from.mappers[className];
  if (!mapper) throw new Error(`${from.name} has no mapper ${className}`);
  const model = (all[id] = {});
  // azure-native calls a property by the last part of its path.
  for (const [key, property] of Object.entries(mapper.type.modelProperties ?? {})) {
    const path = property.serializedName.replaceAll("\\.", " ").split(".").map((part) => part.replaceAll(" ", "."));
    const facts = { wire: path.join(".") };
    if (key !== path.at(-1)) facts.client = key;
    if (property.required) facts.required = true;
    if (property.isConstant) facts.enum = [property.defaultValue];
    if (property.readOnly) facts.readOnly = true;
    else Object.assign(facts, typeOf(all, from, property, declared(from.declarations, className, key)));
    const other = model[path.at(-1)];
    if (other && !other.readOnly && !facts.readOnly) throw new Error(`${id} has ${other.wire} and ${facts.wire}, which azure-native calls the same`);
    if (!other || other.readOnly) model[path.at(-1)] = facts;
  }
  return id;
}

/** The type of a mapper: its name, its bounds, and what it is made of. */
function typeOf(all, from, mapper, declaredAs) {
  const { type } = mapper;
  const facts = { type: type.name, ...bounds(mapper.constraints) };
  switch (type.name) {
    case "Composite":
      // A model with subtypes has the properties of all of them; they are not checked.
      if (from.mappers[type.className]?.type.polymorphicDiscriminator) facts.type = "any";
      else facts.model = addModel(all, from, type.className);
      break;
    case "Sequence":
      facts.items = typeOf(all, from, type.element, declaredAs);
      break;
    case "Dictionary":
      facts.values = typeOf(all, from, type.value, undefined);
      break;
    case "Enum":
      facts.enum = type.allowedValues;
      break;
    case "String": {
      const open = declaredAs && from.known[`Known${declaredAs}`];
      if (open) facts.enum = Object.values(open);
      break;
    }
  }
  return facts;
}

const wanted = JSON.parse(readFileSync(join(here, "types.json"), "utf8"));
const result = { packages: {}, types: {}, models: {} };
for (const [name, kinds] of Object.entries(wanted)) {
  const from = await read(name);
  result.packages[name] = from.version;
  for (const kind of kinds) {
    const request = from.requests.get(kind.toLowerCase());
    if (!request) throw new Error(`${name} has no PUT for ${kind}`);
    const query = request.query.map((parameter) => from.parameters[parameter].mapper);
    const version = query.find((parameter) => parameter.serializedName === "api-version");
    const names = {};
    for (const parameter of request.names.map((key) => from.parameters[key].mapper)) {
      if (request.path.includes(`{${parameter.serializedName}}`) && parameter.constraints) {
        names[parameter.serializedName] = { type: "String", ...bounds(parameter.constraints) };
      }
    }
    const body = from.parameters[request.body].mapper;
    result.types[kind] = {
      package: name,
      apiVersion: version.defaultValue,
      model: addModel(result.models, from, body.type.className),
      names,
      query: query.filter((parameter) => parameter !== version).map((parameter) => parameter.serializedName),
    };
  }
}

/** JSON with sorted keys, so that the same packages give the same file. */
const sorted = (value) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
    : value;
// One line per property keeps the difference of an update readable.
const text = JSON.stringify(sorted(result), null, 1).replace(/\n {4,}/g, " ").replace(/\n {3}([}\]])/g, " $1");
process.stdout.write(text + "\n");
