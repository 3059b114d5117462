/** Products and prices of a partner. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { formatAmount } from "../../shared/format";
import { getItems, listQuery } from "../../shared/paging";
import { Form, MoreButton, SelectField } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { List } from "../ui/list";
import { SchemaForm } from "../ui/schema-form";

export function Prices({ partner }: { partner: Schemas["Partner"] }) {
  const reload = (): void => void queryClient.invalidateQueries({ queryKey: ["listPartnerProducts"] });
  const products = useInfiniteQuery(
    listQuery(["products"], (query) =>
      unwrap(delivery.GET("/products", { params: { query: { ...query, page_size: 100 } } })),
    ),
  );
  const [productId, setProductId] = useState("");
  const path = { partner_id: partner.id };
  return (
    <section>
      <h2>{messages.prices}</h2>
      {partner.verified && partner.enabled ? (
        <List
          label={messages.prices}
          operation="listPartnerProducts"
          scope={partner.id}
          load={(query) => delivery.GET("/catalog/{partner_id}/products", { params: { path, query } })}
          columns={[
            { title: "product_id", cell: ({ id }) => id, isNumber: true },
            { title: "title", cell: ({ title }) => title },
            { title: "category", cell: ({ category }) => category },
            { title: "price", cell: ({ price, currency }) => formatAmount(price, currency), isNumber: true },
            {
              title: "actions",
              cell: ({ id, title }) => (
                <Form
                  action={messages.removeProduct(title)}
                  kind="danger"
                  onSubmit={() => {
                    const product = { ...path, product_id: id };
                    return unwrap(
                      delivery.DELETE("/partners/{partner_id}/products/{product_id}", { params: { path: product } }),
                    );
                  }}
                  onSuccess={reload}
                />
              ),
            },
          ]}
        />
      ) : (
        <p>{messages.pricesHidden}</p>
      )}
      <h3>{messages.setPrice}</h3>
      <SelectField
        label={getLabel("product")}
        options={[
          ["", "–"],
          ...getItems(products.data).map(({ id, title }) => [String(id), `${id} ${title}`] as const),
        ]}
        value={productId}
        onChange={({ target }) => setProductId(target.value)}
      />
      <MoreButton query={products} />
      {productId !== "" && (
        <SchemaForm
          key={productId}
          schema="SetAvailabilityRequest"
          action={messages.save}
          onSubmit={(body) => {
            const product = { ...path, product_id: Number(productId) };
            return unwrap(
              delivery.PUT("/partners/{partner_id}/products/{product_id}", { params: { path: product }, body }),
            );
          }}
          onSuccess={() => {
            setProductId("");
            reload();
          }}
        />
      )}
    </section>
  );
}
