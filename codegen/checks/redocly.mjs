// Custom rules for `redocly lint`.

const BOUNDED_FORMATS = new Set(["uuid", "date", "date-time", "binary"]); // of fixed length, or bounded by x-max-bytes

/** Returns the node at the end of a chain of `$ref`, with its location. */
function resolveReference(node, location, resolve) {
  let current = { node, location };
  while (current.node?.$ref) current = resolve(current.node, current.location.source.absoluteRef);
  return current;
}

/** Calls `visit` once for a schema and each of its nested schemas. */
function visitSchemas(start, startLocation, resolve, visit, seen = new Set()) {
  const { node, location } = resolveReference(start, startLocation, resolve);
  if (!node || typeof node !== "object" || seen.has(node)) return;
  seen.add(node);
  visit(node, location);
  const nested = [];
  for (const name of Object.keys(node.properties ?? {})) nested.push([node.properties[name], ["properties", name]]);
  for (const key of ["items", "additionalProperties", "propertyNames", "contains", "not"]) {
    if (node[key] && typeof node[key] === "object") nested.push([node[key], [key]]);
  }
  for (const key of ["allOf", "anyOf", "oneOf", "prefixItems"]) {
    (node[key] ?? []).forEach((each, index) => nested.push([each, [key, index]]));
  }
  for (const [each, path] of nested) visitSchemas(each, location.child(path), resolve, visit, seen);
}

/** Creates a rule that runs `check` on all schemas of requests: bodies, and parameters of operations and paths. */
function requestSchemaRule(check) {
  const parameters = (owner, { location, resolve, report }, seen) =>
    (owner.parameters ?? []).forEach((each, index) => {
      const parameter = resolveReference(each, location.child(["parameters", index]), resolve);
      const schema = parameter.node?.schema;
      if (schema) visitSchemas(schema, parameter.location.child(["schema"]), resolve, (s, at) => check(s, at, report, false), seen);
    });
  return () => {
    const seen = new Set();
    return {
      PathItem: (item, context) => parameters(item, context, seen),
      Operation: (operation, context) => {
        parameters(operation, context, seen);
        if (!operation.requestBody) return;
        const { location, resolve, report } = context;
        const body = resolveReference(operation.requestBody, location.child(["requestBody"]), resolve);
        for (const [type, media] of Object.entries(body.node?.content ?? {})) {
          const schemaLocation = body.location.child(["content", type, "schema"]);
          if (media.schema) visitSchemas(media.schema, schemaLocation, resolve, (s, at) => check(s, at, report, true), seen);
        }
      },
    };
  };
}

/** Returns whether a pattern limits the length: it is anchored and has no `*`, `+`, `{n,}` or `|`. */
function isBoundedPattern(pattern = "") {
  const bare = pattern.replace(/\\./g, "x").replace(/\[[^\]]*\]/g, "x");
  return /^\^.*\$$/.test(bare) && !/[*+]|\{\d+,\}|\|/.test(bare);
}

const types = (schema) => [schema.type ?? []].flat();
const isEnumerated = (schema) => schema.enum !== undefined || schema.const !== undefined;

const boundedRequests = requestSchemaRule((schema, location, report) => {
  const missing = [];
  const lacks = (...keys) => keys.every((key) => schema[key] === undefined);
  if (isEnumerated(schema)) return;
  const isBounded = BOUNDED_FORMATS.has(schema.format) || isBoundedPattern(schema.pattern);
  if (types(schema).includes("string") && lacks("maxLength") && !isBounded) missing.push("maxLength");
  if (types(schema).includes("array") && lacks("maxItems")) missing.push("maxItems");
  if (types(schema).includes("integer") || types(schema).includes("number")) {
    if (lacks("minimum", "exclusiveMinimum")) missing.push("minimum");
    if (lacks("maximum", "exclusiveMaximum")) missing.push("maximum");
  }
  for (const key of missing) report({ message: `The request schema has no \`${key}\`. Add it.`, location });
});

const closedRequests = requestSchemaRule((schema, location, report, inBody) => {
  if (inBody && schema.properties && schema.additionalProperties === undefined && !/^Open\b/.test(schema.description ?? "")) {
    const message = "The request object has neither `additionalProperties: false` nor a description that begins with `Open`. Add one.";
    report({ message, location });
  }
});

const operationSecurity = () => {
  let inherited = false;
  return {
    Root: (root) => { inherited = (root.security ?? []).length > 0; },
    Operation(operation, { report, location }) {
      if (operation.security !== undefined || inherited) return;
      const message = "The operation has no `security`. Add it, `[]` for a public operation.";
      report({ message, location });
    },
  };
};

const exactStatuses = () => ({
  Operation(operation, { report, location }) {
    for (const status of Object.keys(operation.responses ?? {})) {
      if (/^[1-5]\d\d$/.test(status)) continue;
      const message = `The operation has the response \`${status}\`. List exact status codes.`;
      report({ message, location: location.child(["responses", status]).key() });
    }
  },
});

const requestExamples = () => ({
  Operation(operation, { report, location, resolve }) {
    if (!operation.requestBody) return;
    const body = resolveReference(operation.requestBody, location.child(["requestBody"]), resolve);
    const media = body.node?.content?.["application/json"];
    if (!media || media.example !== undefined || media.examples !== undefined) return;
    const schemaLocation = body.location.child(["content", "application/json", "schema"]);
    const { node: schema, location: at } = resolveReference(media.schema, schemaLocation, resolve);
    if (schema?.examples?.length || schema?.example !== undefined) return;
    report({ message: "The JSON request body has no example. Add `examples` to its schema.", location: at });
  },
});

export default function contracts() {
  return {
    id: "contracts",
    rules: {
      oas3: {
        "operation-security": operationSecurity,
        "exact-statuses": exactStatuses,
        "bounded-requests": boundedRequests,
        "closed-requests": closedRequests,
        "request-examples": requestExamples,
      },
    },
  };
}
