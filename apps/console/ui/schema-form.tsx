/** A form for a request body of the contract. */
import { type ReactNode, useState } from "react";

import type { Schemas } from "../../shared/api";
import { Form } from "../../shared/ui";
import { schemas } from "../contract";
import type { JsonObject } from "../schema";
import { ObjectFields } from "./schema-fields";

export interface SchemaFormProps<N extends keyof Schemas, T> {
  /** Name of the schema of the body. */
  schema: N;
  action: string;
  kind?: "primary" | "danger";
  initial?: JsonObject;
  onSubmit: (body: Schemas[N]) => Promise<T>;
  onSuccess?: (result: T) => void;
  children?: ReactNode;
}

/** A form whose fields are the properties of a schema. */
export function SchemaForm<N extends keyof Schemas, T>(props: SchemaFormProps<N, T>) {
  const { schema, action, kind = "primary", initial = {}, onSubmit, onSuccess, children } = props;
  const [value, setValue] = useState(initial);
  return (
    <Form action={action} kind={kind} onSubmit={() => onSubmit(value as Schemas[N])} onSuccess={onSuccess}>
      <ObjectFields schema={schemas[schema]} value={value} onChange={setValue} />
      {children}
    </Form>
  );
}
