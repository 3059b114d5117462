import { Link } from "@tanstack/react-router";
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
        { title: "disabled", cell: ({ disabled = false }) => getLabel(String(disabled)) },
        { title: "actions", cell: (user) => <UserActions user={user} /> },
      ]}
    />
  );
}

function UserActions({ user }: { user: Schemas["User"] }) {
  const [isOpen, setIsOpen] = useState(false);
  const [result, setResult] = useState("");
  const path = { user_id: user.id };
  const disabled = user.disabled !== true;
  const showResult = (text: string): void => {
    setResult(text);
    void queryClient.invalidateQueries({ queryKey: ["listUsers"] });
  };
  return (
    <>
      <div className="buttons">
        <Button onPress={() => setIsOpen(true)}>{messages.edit}</Button>
        <Link to="/notifications" search={{ user_id: user.id }}>
          {messages.notifications}
        </Link>
      </div>
      <Dialog title={user.email} isOpen={isOpen} onClose={() => setIsOpen(false)}>
        <SchemaForm
          schema="SetUserRoleRequest"
          action={messages.save}
          initial={user.role === undefined ? {} : { role: user.role }}
          onSubmit={(body) => unwrap(delivery.PUT("/users/{user_id}/role", { params: { path }, body }))}
          onSuccess={() => showResult(messages.saved)}
        />
        <Form
          action={disabled ? messages.disable : messages.enable}
          kind={disabled ? "danger" : "primary"}
          onSubmit={() => unwrap(delivery.PUT("/users/{user_id}/disabled", { params: { path }, body: { disabled } }))}
          onSuccess={() => showResult(disabled ? messages.revoked : messages.unblocked)}
        />
        <p role="status">{result}</p>
      </Dialog>
    </>
  );
}
