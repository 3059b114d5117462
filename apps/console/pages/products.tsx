import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";

import { delivery, queryClient, unwrap } from "../../shared/api";
import { Form, Page, QueryView } from "../../shared/ui";
import { messages } from "../messages";
import { Editor, versionQuery } from "../ui/editor";
import { useIdempotencyKeys } from "../ui/idempotency";
import { ListView } from "../ui/list";
import { createPictureForm, Picture } from "../ui/picture";
import { SchemaForm } from "../ui/schema-form";

export function Products() {
  return (
    <ListView
      label={messages.products}
      operation="listProducts"
      load={(query) => delivery.GET("/products", { params: { query } })}
      columns={[
        { title: "id", cell: ({ id }) => id, isNumber: true },
        {
          title: "title",
          cell: ({ id, title }) => (
            <Link to="/products/$id" params={{ id: String(id) }}>
              {title}
            </Link>
          ),
        },
        { title: "category", cell: ({ category }) => category },
        { title: "description", cell: ({ description }) => description, isText: true },
      ]}
    >
      <Link to="/products/new">{messages.newProduct}</Link>
    </ListView>
  );
}

export function NewProduct() {
  const keys = useIdempotencyKeys();
  const navigate = useNavigate();
  return (
    <Page title={messages.newProduct}>
      <SchemaForm
        schema="CreateProductRequest"
        action={messages.create}
        onSubmit={(body) =>
          unwrap(delivery.POST("/products", { params: { header: { "Idempotency-Key": keys.get(body) } }, body }))
        }
        onSuccess={({ id }) => void navigate({ to: "/products/$id", params: { id: String(id) } })}
      />
    </Page>
  );
}

export function ProductPage() {
  const { id } = useParams({ from: "/products/$id" });
  const navigate = useNavigate();
  const path = { product_id: Number(id) };
  const options = versionQuery(["product", id], () => delivery.GET("/products/{product_id}", { params: { path } }));
  const query = useQuery(options);
  return (
    <Page title={query.data?.value.title ?? messages.products}>
      <QueryView query={query}>
        {({ value: { picture_url } }) => (
          <>
            <h2>{messages.properties}</h2>
            <Editor
              query={options}
              schema="ProductPatch"
              save={(body, etag) =>
                delivery.PATCH("/products/{product_id}", { params: { path, header: { "If-Match": etag } }, body })
              }
            />
            <Picture
              url={picture_url}
              upload={(picture) =>
                delivery.PUT("/products/{product_id}/picture", { params: { path }, ...createPictureForm(picture) })
              }
              onSuccess={() => void queryClient.invalidateQueries({ queryKey: options.queryKey })}
            />
            <h2>{messages.delete}</h2>
            <Form
              action={messages.delete}
              kind="danger"
              onSubmit={() => unwrap(delivery.DELETE("/products/{product_id}", { params: { path } }))}
              onSuccess={() => void navigate({ to: "/products" })}
            />
          </>
        )}
      </QueryView>
    </Page>
  );
}
