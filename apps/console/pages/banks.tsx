import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";

import { delivery, unwrap } from "../../shared/api";
import { Page, QueryView } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { Editor, versionQuery } from "../ui/editor";
import { useIdempotencyKeys } from "../ui/idempotency";
import { ListView } from "../ui/list";
import { SchemaForm } from "../ui/schema-form";
import { RotateSecret, SecretDialog } from "../ui/secret";

export function Banks() {
  return (
    <ListView
      label={messages.banks}
      operation="listRegisteredBanks"
      load={(query) => delivery.GET("/registered-banks", { params: { query } })}
      columns={[
        {
          title: "id",
          cell: ({ id }) => (
            <Link to="/banks/$id" params={{ id }}>
              {id}
            </Link>
          ),
        },
        { title: "title", cell: ({ title }) => title },
        { title: "active", cell: ({ active }) => getLabel(String(active)) },
      ]}
    >
      <p>
        <Link to="/banks/new">{messages.newBank}</Link>
      </p>
    </ListView>
  );
}

export function NewBank() {
  const keys = useIdempotencyKeys();
  const navigate = useNavigate();
  const [created, setCreated] = useState<{ id: string; secret: string | undefined }>();
  return (
    <Page title={messages.newBank}>
      <SchemaForm
        schema="CreateBankRequest"
        action={messages.create}
        onSubmit={(body) =>
          unwrap(delivery.POST("/banks", { params: { header: { "Idempotency-Key": keys.get(body) } }, body }))
        }
        onSuccess={({ id, webhook_secret }) => setCreated({ id, secret: webhook_secret })}
      />
      <SecretDialog
        secret={created?.secret}
        onClose={() => void navigate({ to: "/banks/$id", params: { id: created?.id ?? "" } })}
      />
    </Page>
  );
}

export function BankPage() {
  const { id } = useParams({ from: "/banks/$id" });
  const path = { bank_id: id };
  const options = versionQuery(["bank", id], () => delivery.GET("/banks/{bank_id}", { params: { path } }));
  return (
    <Page title={id}>
      <QueryView query={useQuery(options)}>
        {() => (
          <>
            <h2>{messages.properties}</h2>
            <Editor
              query={options}
              schema="BankPatch"
              save={(body, etag) =>
                delivery.PATCH("/banks/{bank_id}", { params: { path, header: { "If-Match": etag } }, body })
              }
            />
            <RotateSecret
              rotate={(key) =>
                delivery.POST("/banks/{bank_id}/secret", { params: { path, header: { "Idempotency-Key": key } } })
              }
            />
          </>
        )}
      </QueryView>
    </Page>
  );
}
