// Rules of our own for `redocly lint`. Each says in its message what is missing, and where it belongs.

const BOUNDED_FORMATS = new Set(["uuid", "date", "date-time", "binary"]); // of a fixed form, or bounded by x-max-bytes

/** The node at the end of its references, with where it stands. */
function follow(node, location, resolve) {
  let here = { node, location };
  while (here.node?.$ref) here = resolve(here.node, here.location.source.absoluteRef);
  return here;
}

/** Calls `visit` once with every schema of a request: those of its parameters, and all that its body is made of. */
function visitSchemas(start, place, resolve, visit, seen = new Set()) {
  const { node, location } = follow(start, place, resolve);
  if (!node || typeof node !== "object" || seen.has(node)) return;
  seen.add(node);
  visit(node, location);
  const inner = [];
  for (const name of Object.keys(node.properties ?? {})) inner.push([node.properties[name], ["properties", name]]);
  for (const key of ["items", "additionalProperties", "propertyNames", "contains", "not"]) {
    if (node[key] && typeof node[key] === "object") inner.push([node[key], [key]]);
  }
  for (const key of ["allOf", "anyOf", "oneOf", "prefixItems"]) {
    (node[key] ?? []).forEach((each, index) => inner.push([each, [key, index]]));
  }
  for (const [each, path] of inner) visitSchemas(each, location.child(path), resolve, visit, seen);
}

/** A rule that looks at every schema of requests, parameters of paths included. */
function requestSchemaRule(check) {
  const parameters = (owner, { location, resolve, report }, seen) =>
    (owner.parameters ?? []).forEach((each, index) => {
      const found = follow(each, location.child(["parameters", index]), resolve);
      const schema = found.node?.schema;
      if (schema) visitSchemas(schema, found.location.child(["schema"]), resolve, (s, at) => check(s, at, report, false), seen);
    });
  return () => {
    const seen = new Set();
    return {
      PathItem: (item, context) => parameters(item, context, seen),
      Operation: (operation, context) => {
        parameters(operation, context, seen);
        if (!operation.requestBody) return;
        const { location, resolve, report } = context;
        const body = follow(operation.requestBody, location.child(["requestBody"]), resolve);
        for (const [type, media] of Object.entries(body.node?.content ?? {})) {
          const place = body.location.child(["content", type, "schema"]);
          if (media.schema) visitSchemas(media.schema, place, resolve, (s, at) => check(s, at, report, true), seen);
        }
      },
    };
  };
}

/** Whether a pattern itself ends what it takes: anchored, and without `*`, `+` or `{n,}`. */
function isBoundedPattern(pattern = "") {
  const bare = pattern.replace(/\\./g, "x").replace(/\[[^\]]*\]/g, "x");
  return /^\^.*\$$/.test(bare) && !/[*+]|\{\d+,\}|\|/.test(bare);
}

const types = (schema) => [schema.type ?? []].flat();
const listed = (schema) => schema.enum !== undefined || schema.const !== undefined;

const boundedRequests = requestSchemaRule((schema, location, report) => {
  const missing = [];
  const lacks = (...keys) => keys.every((key) => schema[key] === undefined);
  if (listed(schema)) return;
  const formed = BOUNDED_FORMATS.has(schema.format) || isBoundedPattern(schema.pattern);
  if (types(schema).includes("string") && lacks("maxLength") && !formed) missing.push("maxLength");
  if (types(schema).includes("array") && lacks("maxItems")) missing.push("maxItems");
  if (types(schema).includes("integer") || types(schema).includes("number")) {
    if (lacks("minimum", "exclusiveMinimum")) missing.push("minimum");
    if (lacks("maximum", "exclusiveMaximum")) missing.push("maximum");
  }
  for (const key of missing) report({ message: `A schema of requests has no \`${key}\`. Bound it.`, location });
});

const closedRequests = requestSchemaRule((schema, location, report, inBody) => {
  if (inBody && schema.properties && schema.additionalProperties === undefined && !/^Open\b/.test(schema.description ?? "")) {
    const message = "An object of requests says neither `additionalProperties: false` nor, in its description, that it is `Open`. Say one.";
    report({ message, location });
  }
});

const operationSecurity = () => {
  let inherited = false;
  return {
    Root: (root) => { inherited = (root.security ?? []).length > 0; },
    Operation(operation, { report, location }) {
      if (operation.security !== undefined || inherited) return;
      const message = "The operation does not say who may call it. Write its `security`, `[]` where it is public.";
      report({ message, location });
    },
  };
};

const exactStatuses = () => ({
  Operation(operation, { report, location }) {
    for (const status of Object.keys(operation.responses ?? {})) {
      if (/^[1-5]\d\d$/.test(status)) continue;
      const message = `The operation answers \`${status}\`. List each status that there is.`;
      report({ message, location: location.child(["responses", status]).key() });
    }
  },
});

const requestExamples = () => ({
  Operation(operation, { report, location, resolve }) {
    if (!operation.requestBody) return;
    const body = follow(operation.requestBody, location.child(["requestBody"]), resolve);
    const media = body.node?.content?.["application/json"];
    if (!media || media.example !== undefined || media.examples !== undefined) return;
    const place = body.location.child(["content", "application/json", "schema"]);
    const { node: schema, location: at } = follow(media.schema, place, resolve);
    if (schema?.examples?.length || schema?.example !== undefined) return;
    report({ message: "The JSON body of a request has no example. Give its schema `examples`.", location: at });
  },
});

export default function delivery() {
  return {
    id: "delivery",
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
