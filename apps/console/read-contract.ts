/** The schemas and list filters of the OpenAPI document, which Vite defines as `CONTRACT` in `contract.ts`. */
import { readFileSync } from "node:fs";

const DOCUMENT = new URL("../../generated/openapi/delivery.json", import.meta.url);
/** Keywords that forms do not use. */
const OMITTED = new Set(["additionalProperties", "description", "examples"]);

type JsonObject = { [key: string]: unknown };

export function readContract() {
  const document = JSON.parse(readFileSync(DOCUMENT, "utf8")) as JsonObject;

  const resolve = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(resolve);
    if (!isObject(node)) return node;
    const { $ref: reference } = node;
    if (typeof reference === "string") {
      return resolve(
        reference
          .slice(2)
          .split("/")
          .reduce<unknown>((value, key) => (value as JsonObject)[key], document),
      );
    }
    // A property of such a name is an object.
    const entries = Object.entries(node).filter(([key, value]) => !OMITTED.has(key) || isObject(value));
    return Object.fromEntries(entries.map(([key, value]) => [key, resolve(value)]));
  };

  const filters: JsonObject = {};
  for (const { get } of Object.values(document["paths"] as Record<string, { get?: JsonObject }>)) {
    const parameters = resolve(get?.["parameters"] ?? []) as { name: string; in: string; schema: unknown }[];
    if (get === undefined || !parameters.some(({ name }) => name === "page_token")) continue;
    const entries = parameters.filter(({ in: place, name }) => place === "query" && !name.startsWith("page_"));
    filters[String(get["operationId"])] = {
      type: "object",
      properties: Object.fromEntries(entries.map(({ name, schema }) => [name, schema])),
    };
  }
  return { schemas: resolve((document["components"] as JsonObject)["schemas"]), filters };
}

function isObject(node: unknown): node is JsonObject {
  return typeof node === "object" && node !== null && !Array.isArray(node);
}
