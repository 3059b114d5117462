/** JSON values, and the part of JSON Schema that forms use. */

export type Json = string | number | boolean | null | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

export interface Schema {
  type?: string | string[];
  format?: string;
  pattern?: string;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  default?: Json;
  items?: Schema;
  required?: string[];
  properties?: Record<string, Schema>;
  anyOf?: Schema[];
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the schema without `null`, and whether `null` is allowed. */
export function splitNull(schema: Schema): [schema: Schema, isNullable: boolean] {
  if (schema.anyOf !== undefined) {
    const alternatives = schema.anyOf.filter(({ type }) => type !== "null");
    return [alternatives[0] ?? {}, alternatives.length < schema.anyOf.length];
  }
  if (!Array.isArray(schema.type)) return [schema, false];
  const [type] = schema.type.filter((each) => each !== "null");
  return [{ ...schema, type: type ?? "null" }, schema.type.includes("null")];
}

/** Returns the part of a resource that a request of this schema accepts. */
export function pickEditable(schema: Schema, value: Json | undefined): Json | undefined {
  const [{ properties, pattern }] = splitNull(schema);
  if (isObject(value) && properties !== undefined) {
    const result: JsonObject = {};
    for (const [name, property] of Object.entries(properties)) {
      const part = pickEditable(property, value[name]);
      if (part !== undefined) result[name] = part;
    }
    return result;
  }
  const isRejected = typeof value === "string" && pattern !== undefined && !new RegExp(pattern).test(value);
  return isRejected ? undefined : value;
}

/** Returns the JSON merge patch (RFC 7396) from one object to another. */
export function createMergePatch(before: JsonObject, after: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const old = before[name];
    const value = after[name];
    if (isEqual(old, value)) continue;
    if (value === undefined) patch[name] = null;
    else patch[name] = isObject(old) && isObject(value) ? createMergePatch(old, value) : value;
  }
  return patch;
}

export function isEqual(one: Json | undefined, other: Json | undefined): boolean {
  return JSON.stringify(sortNames(one)) === JSON.stringify(sortNames(other));
}

function sortNames(value: Json | undefined): Json | undefined {
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sortNames(value[name]) ?? null]),
  );
}
