import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";

import { delivery, queryClient, unwrap } from "../../shared/api";
import { Form, Page, QueryView } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { Editor, versionQuery } from "../ui/editor";
import { useIdempotencyKeys } from "../ui/idempotency";
import { ListView } from "../ui/list";
import { createPictureForm, Picture } from "../ui/picture";
import { SchemaForm } from "../ui/schema-form";
import { RotateSecret, SecretDialog } from "../ui/secret";
import { Prices } from "./prices";

export function Partners() {
  return (
    <ListView
      label={messages.partners}
      operation="listPartners"
      load={(query) => delivery.GET("/partners", { params: { query } })}
      columns={[
        { title: "id", cell: ({ id }) => id, isNumber: true },
        {
          title: "title",
          cell: ({ id, title }) => (
            <Link to="/partners/$id" params={{ id: String(id) }}>
              {title}
            </Link>
          ),
        },
        { title: "brand", cell: ({ brand }) => brand },
        { title: "address", cell: ({ address }) => address, isText: true },
        { title: "verified", cell: ({ verified }) => getLabel(String(verified)) },
        { title: "enabled", cell: ({ enabled }) => getLabel(String(enabled)) },
      ]}
    >
      <Link to="/partners/new">{messages.newPartner}</Link>
    </ListView>
  );
}

export function NewPartner() {
  const keys = useIdempotencyKeys();
  const navigate = useNavigate();
  const [created, setCreated] = useState<{ id: number; secret: string | undefined }>();
  return (
    <Page title={messages.newPartner}>
      <SchemaForm
        schema="CreatePartnerRequest"
        action={messages.create}
        onSubmit={(body) =>
          unwrap(delivery.POST("/partners", { params: { header: { "Idempotency-Key": keys.get(body) } }, body }))
        }
        onSuccess={({ id, webhook_secret }) => setCreated({ id, secret: webhook_secret })}
      />
      <SecretDialog
        secret={created?.secret}
        onClose={() => void navigate({ to: "/partners/$id", params: { id: String(created?.id) } })}
      />
    </Page>
  );
}

export function PartnerPage() {
  const { id } = useParams({ from: "/partners/$id" });
  const path = { partner_id: Number(id) };
  const options = versionQuery(["partner", id], () => delivery.GET("/partners/{partner_id}", { params: { path } }));
  const query = useQuery(options);
  const reload = (): void => void queryClient.invalidateQueries({ queryKey: options.queryKey });
  return (
    <Page title={query.data?.value.title ?? messages.partners}>
      <QueryView query={query}>
        {({ value: partner }) => (
          <>
            <h2>{messages.properties}</h2>
            <Editor
              query={options}
              schema="PartnerPatch"
              save={(body, etag) =>
                delivery.PATCH("/partners/{partner_id}", { params: { path, header: { "If-Match": etag } }, body })
              }
            />
            <h2>{messages.openingHours}</h2>
            <Editor
              query={options}
              schema="OpeningHours"
              select={({ opening_hours }) => opening_hours && { ...opening_hours }}
              isReplaced
              save={(body, etag) =>
                delivery.PUT("/partners/{partner_id}/opening-hours", {
                  params: { path, header: { "If-Match": etag } },
                  body,
                })
              }
            />
            {partner.opening_hours !== undefined && (
              <Form
                action={messages.removeHours}
                kind="danger"
                onSubmit={() => unwrap(delivery.DELETE("/partners/{partner_id}/opening-hours", { params: { path } }))}
                onSuccess={reload}
              />
            )}
            <Picture
              url={partner.picture_url}
              upload={(picture) =>
                delivery.PUT("/partners/{partner_id}/picture", { params: { path }, ...createPictureForm(picture) })
              }
              onSuccess={reload}
            />
            <Prices partner={partner} />
            <RotateSecret
              rotate={(key) =>
                delivery.POST("/partners/{partner_id}/secret", { params: { path, header: { "Idempotency-Key": key } } })
              }
            />
            {partner.enabled && (
              <>
                <h2>{messages.disable}</h2>
                <Form
                  action={messages.disable}
                  kind="danger"
                  onSubmit={() => unwrap(delivery.DELETE("/partners/{partner_id}", { params: { path } }))}
                  onSuccess={reload}
                />
              </>
            )}
          </>
        )}
      </QueryView>
    </Page>
  );
}
