/** Lists of the API: filters, table and further pages. */
import type { operations } from "@delivery/client";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";

import { unwrap } from "../../shared/api";
import { getItems, type ListPage, listQuery } from "../../shared/paging";
import { Button, MoreButton, Page } from "../../shared/ui";
import { filters } from "../contract";
import { messages } from "../messages";
import type { JsonObject, Schema } from "../schema";
import { ObjectFields } from "./schema-fields";
import { type Column, Table } from "./table";

/** Query parameters of a list. */
export type Query<O extends keyof operations> = NonNullable<operations[O]["parameters"]["query"]>;
/** Operations whose lists have a filter by order. */
export type OrderListOperation = {
  [O in keyof operations]: "order_id" extends keyof Query<O> ? O : never;
}[keyof operations];
/** Filters in the address of a page. */
export type FilterValues = Record<string, string | number | boolean>;

type Call<T> = Promise<{ data?: ListPage<T>; error?: unknown; response: Response }>;

export interface ListProps<O extends keyof operations, T> {
  label: string;
  operation: O;
  /** The resource to which the list belongs. */
  scope?: string | number;
  /** Filters of the request. */
  query?: Query<O>;
  load: (query: Query<O>) => Call<T>;
  columns: Column<T>[];
}

/** What a list contains, independently of the page that shows it. */
export type ListDefinition<O extends keyof operations, T> = Pick<ListProps<O, T>, "label" | "operation" | "load" | "columns">;

/** Returns a definition, whose types follow from its operation. */
export function defineList<O extends keyof operations, T>(definition: ListDefinition<O, T>): ListDefinition<O, T> {
  return definition;
}

/** Table of a list, with a button for its next page. */
export function List<O extends keyof operations, T>(props: ListProps<O, T>) {
  const { label, operation, scope, query, load, columns } = props;
  const pages = useInfiniteQuery(
    listQuery(
      [operation, scope, query],
      (page) => unwrap(load({ ...query, ...page } as Query<O>)) as Promise<ListPage<T>>,
    ),
  );
  return (
    <>
      {pages.isSuccess && <Table label={label} columns={columns} items={getItems(pages.data)} />}
      <MoreButton query={pages} />
    </>
  );
}

/** A page with a list and its filters, which are part of the page's address. */
export function ListView<O extends keyof operations, T>(
  props: Omit<ListProps<O, T>, "query"> & { children?: ReactNode },
) {
  const { label, operation, children } = props;
  const search: FilterValues = useSearch({ strict: false });
  const navigate = useNavigate();
  const names = Object.keys(filters[operation].properties ?? {});
  const query = Object.fromEntries(Object.entries(search).filter(([name]) => names.includes(name)));
  return (
    <Page title={label}>
      {children}
      {names.length > 0 && (
        <Filters
          key={JSON.stringify(query)}
          schema={filters[operation]}
          query={query}
          onChange={(changed) => void navigate({ to: ".", search: changed })}
        />
      )}
      <List {...props} query={query as Query<O>} />
    </Page>
  );
}

function Filters(props: { schema: Schema; query: FilterValues; onChange: (query: FilterValues) => void }) {
  const { schema, query, onChange } = props;
  const [value, setValue] = useState<JsonObject>(query);
  // A filter has three states: yes, no and any.
  const entries = Object.entries(schema.properties ?? {}).map(([name, each]): [string, Schema] => [
    name,
    each.type === "boolean" ? { type: "string", enum: ["true", "false"] } : each,
  ]);
  return (
    <form
      role="search"
      className="inline-fields"
      onSubmit={(event) => {
        event.preventDefault();
        onChange(value as FilterValues);
      }}
    >
      <ObjectFields schema={{ properties: Object.fromEntries(entries) }} value={value} onChange={setValue} />
      <Button type="submit">{messages.filter}</Button>
    </form>
  );
}
