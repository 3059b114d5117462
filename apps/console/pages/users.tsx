import { useState } from "react";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { Button, Dialog, Form } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { ListView } from "../ui/list";
import { SchemaForm } from "../ui/schema-form";

export function Users() {
  return (
    <ListView
      label={messages.users}
      operation="listUsers"
      load={(query) => delivery.GET("/users", { params: { query } })}
      columns={[
        { title: "name", cell: ({ first_name, last_name }) => `${first_name} ${last_name}` },
        { title: "email", cell: ({ email }) => email },
        { title: "verified", cell: ({ email_verified }) => getLabel(String(email_verified)) },
        { title: "role", cell: ({ role }) => role && getLabel(role) },
        { title: "user_id", cell: ({ id }) => id },
        { title: "actions", cell: (user) => <UserActions user={user} /> },
      ]}
    />
  );
}

function UserActions({ user }: { user: Schemas["User"] }) {
  const [isOpen, setIsOpen] = useState(false);
  const [result, setResult] = useState("");
  const path = { user_id: user.id };
  const setDisabled = (disabled: boolean) =>
    unwrap(delivery.PUT("/users/{user_id}/disabled", { params: { path }, body: { disabled } }));
  return (
    <>
      <Button onPress={() => setIsOpen(true)}>{messages.edit}</Button>
      <Dialog title={user.email} isOpen={isOpen} onClose={() => setIsOpen(false)}>
        <SchemaForm
          schema="SetUserRoleRequest"
          action={messages.save}
          initial={user.role === undefined ? {} : { role: user.role }}
          onSubmit={(body) => unwrap(delivery.PUT("/users/{user_id}/role", { params: { path }, body }))}
          onSuccess={() => {
            setResult(messages.saved);
            void queryClient.invalidateQueries({ queryKey: ["listUsers"] });
          }}
        />
        <Form
          action={messages.disable}
          kind="danger"
          onSubmit={() => setDisabled(true)}
          onSuccess={() => setResult(messages.revoked)}
        />
        <Form
          action={messages.enable}
          onSubmit={() => setDisabled(false)}
          onSuccess={() => setResult(messages.unblocked)}
        />
        <p role="status">{result}</p>
      </Dialog>
    </>
  );
}
