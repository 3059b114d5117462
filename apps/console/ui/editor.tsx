/** Changes of a resource with an ETag. A lost update shows both versions and lets the user choose. */
import { ProblemError } from "@delivery/client";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { queryClient, type Schemas, unwrap } from "../../shared/api";
import { Form } from "../../shared/ui";
import { schemas } from "../contract";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { createMergePatch, isEqual, isObject, type Json, type JsonObject, pickEditable, splitNull } from "../schema";
import { ObjectFields } from "./schema-fields";

/** A resource and its ETag. */
export interface Version<T> {
  value: T;
  etag: string;
}

type Call<T> = Promise<{ data?: T; error?: unknown; response: Response }>;

/** Returns the resource of a response with its ETag. */
export async function readVersion<T>(call: Call<T>): Promise<Version<NonNullable<T>>> {
  const value = await unwrap(call);
  return { value, etag: (await call).response.headers.get("etag") ?? "" };
}

/** Options of the query of a resource with its ETag. */
export function versionQuery<T>(key: readonly unknown[], load: () => Call<T>) {
  return queryOptions({ queryKey: key, queryFn: () => readVersion(load()) });
}

export interface EditorProps<N extends keyof Schemas, T> {
  /** Query of the resource, from `versionQuery`. */
  query: ReturnType<typeof versionQuery<T>>;
  /** Name of the schema of the request. */
  schema: N;
  /** Returns the part of the resource that is edited. */
  select?: (value: NonNullable<T>) => Json | undefined;
  /** Whether the request replaces the resource, rather than being a merge patch. */
  isReplaced?: boolean;
  save: (body: Schemas[N], etag: string) => Call<T>;
}

/** A version of the resource, and the changes that the user has made to it. */
interface Draft<T> {
  base: Version<T>;
  value: JsonObject;
}

/** A form for the properties of a resource. Only changed properties are sent. */
export function Editor<N extends keyof Schemas, T>(props: EditorProps<N, T>) {
  const { query, schema, select = (value) => value as Json, isReplaced = false, save } = props;
  const { data: version } = useQuery(query);
  const [draft, setDraft] = useState<Draft<NonNullable<T>>>();
  const [isSaved, setIsSaved] = useState(false);
  const [conflict, setConflict] = useState<Version<NonNullable<T>>>();
  if (version === undefined) return null;

  const pick = (value: NonNullable<T>): JsonObject => {
    const editable = pickEditable(schemas[schema], select(value));
    return isObject(editable) ? editable : {};
  };
  const base = draft?.base ?? version;
  const value = draft?.value ?? pick(version.value);

  const send = async (from: Version<NonNullable<T>>, changed: JsonObject, isRepeated = false): Promise<void> => {
    const patch = createMergePatch(pick(from.value), changed);
    if (Object.keys(patch).length > 0) {
      const body = (isReplaced ? changed : patch) as Schemas[N];
      try {
        queryClient.setQueryData(query.queryKey, await readVersion(save(body, from.etag)));
      } catch (error) {
        if (!(error instanceof ProblemError) || error.status !== 412) throw error;
        const current = await queryClient.fetchQuery({ ...query, staleTime: 0 });
        // A change of something else, such as the picture or the secret, is no conflict.
        if (!isRepeated && isEqual(pick(from.value), pick(current.value))) return send(current, changed, true);
        setConflict(current);
        return;
      }
    }
    setConflict(undefined);
    setDraft(undefined);
    setIsSaved(true);
  };

  if (conflict !== undefined) {
    const current = pick(conflict.value);
    return (
      <Conflict
        key={conflict.etag}
        base={pick(base.value)}
        current={current}
        own={value}
        onChoose={(chosen) => send(conflict, chosen)}
      />
    );
  }
  const { properties = {} } = schemas[schema];
  // A merge patch removes a property with null.
  const required = Object.keys(pick(base.value)).filter((name) => !isReplaced && !splitNull(properties[name] ?? {})[1]);
  return (
    <Form action={messages.save} onSubmit={() => send(base, value)}>
      <ObjectFields
        key={base.etag}
        schema={schemas[schema]}
        value={value}
        required={required}
        onChange={(changed) => {
          setIsSaved(false);
          setDraft({ base, value: changed });
        }}
      />
      <p role="status">{isSaved && messages.saved}</p>
    </Form>
  );
}

interface ConflictProps {
  base: JsonObject;
  current: JsonObject;
  own: JsonObject;
  onChoose: (value: JsonObject) => Promise<void>;
}

/** Both versions of each property that differs, with a choice. Properties that the user has changed are preselected. */
function Conflict({ base, current, own, onChoose }: ConflictProps) {
  const names = Object.keys({ ...current, ...own }).filter((name) => !isEqual(current[name], own[name]));
  const [ownNames, setOwnNames] = useState(() => new Set(names.filter((name) => !isEqual(base[name], own[name]))));
  const select = (name: string, isOwn: boolean): void => {
    const names = new Set(ownNames);
    if (isOwn) names.add(name);
    else names.delete(name);
    setOwnNames(names);
  };
  const save = (): Promise<void> => {
    const chosen = { ...current };
    for (const name of ownNames) {
      const value = own[name];
      if (value === undefined) delete chosen[name];
      else chosen[name] = value;
    }
    return onChoose(chosen);
  };
  return (
    <section className="card">
      <h3>{messages.conflictTitle}</h3>
      <p role="alert">{messages.conflict}</p>
      <Form action={messages.save} onSubmit={save}>
        {names.map((name) => (
          <fieldset key={name}>
            <legend>{getLabel(name)}</legend>
            {[false, true].map((isOwn) => (
              <label key={String(isOwn)} className="choice">
                <input
                  type="radio"
                  name={`choice-${name}`}
                  checked={ownNames.has(name) === isOwn}
                  onChange={() => select(name, isOwn)}
                />
                <span>
                  {isOwn ? messages.ownVersion : messages.currentVersion}:{" "}
                  <b>{describe((isOwn ? own : current)[name])}</b>
                </span>
              </label>
            ))}
          </fieldset>
        ))}
      </Form>
    </section>
  );
}

function describe(value: Json | undefined): string {
  if (value === undefined) return "–";
  if (typeof value === "boolean") return value ? messages.yes : messages.no;
  return typeof value === "string" ? value : JSON.stringify(value);
}
