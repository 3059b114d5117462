/** Links between pages. */
import { Link } from "@tanstack/react-router";

import { Form, TextField } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";

export function OrderLink({ id }: { id: string }) {
  return (
    <Link to="/orders/$id" params={{ id }}>
      {id}
    </Link>
  );
}

/** A form that opens the page of an id, for what the list does not contain. */
export function OpenById({ onOpen }: { onOpen: (id: string) => void }) {
  return (
    <Form action={messages.open} onSubmit={async ({ id = "" }) => onOpen(id)}>
      <TextField name="id" label={getLabel("id")} isRequired />
    </Form>
  );
}
