import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";

import { delivery, unwrap } from "../../shared/api";
import { Page, QueryView } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { Editor, versionQuery } from "../ui/editor";
import { useIdempotencyKeys } from "../ui/idempotency";
import { ListView } from "../ui/list";
import { SchemaForm } from "../ui/schema-form";

export function Senders() {
  return (
    <ListView
      label={messages.senders}
      operation="listAgents"
      load={(query) => delivery.GET("/notification-agents", { params: { query } })}
      columns={[
        {
          title: "name",
          cell: ({ id, name }) => (
            <Link to="/senders/$id" params={{ id }}>
              {name}
            </Link>
          ),
        },
        { title: "providers", cell: ({ providers }) => providers.map(getLabel).join(", ") },
        { title: "priority", cell: ({ priority }) => priority, isNumber: true },
        { title: "enabled", cell: ({ enabled }) => getLabel(String(enabled)) },
      ]}
    >
      <Link to="/senders/new">{messages.newSender}</Link>
    </ListView>
  );
}

export function NewSender() {
  const keys = useIdempotencyKeys();
  const navigate = useNavigate();
  return (
    <Page title={messages.newSender}>
      <SchemaForm
        schema="CreateAgentRequest"
        action={messages.create}
        onSubmit={(body) =>
          unwrap(
            delivery.POST("/notification-agents", { params: { header: { "Idempotency-Key": keys.get(body) } }, body }),
          )
        }
        onSuccess={({ id }) => void navigate({ to: "/senders/$id", params: { id } })}
      />
    </Page>
  );
}

export function SenderPage() {
  const { id } = useParams({ from: "/senders/$id" });
  const path = { agent_id: id };
  const options = versionQuery(["sender", id], () =>
    delivery.GET("/notification-agents/{agent_id}", { params: { path } }),
  );
  const query = useQuery(options);
  return (
    <Page title={query.data?.value.name ?? messages.senders}>
      <QueryView query={query}>
        {() => (
          <Editor
            query={options}
            schema="AgentPatch"
            save={(body, etag) =>
              delivery.PATCH("/notification-agents/{agent_id}", {
                params: { path, header: { "If-Match": etag } },
                body,
              })
            }
          />
        )}
      </QueryView>
    </Page>
  );
}
