/** Queries of more than one page. */
import { queryOptions } from "@tanstack/react-query";

import { delivery, type Schemas, unwrap } from "../shared/api";
import { listQuery } from "../shared/paging";

export interface CatalogFilter {
  q?: string;
  category?: string;
}

export const catalogQuery = (filter: CatalogFilter) =>
  listQuery(["catalog", filter], (page) =>
    unwrap(delivery.GET("/catalog", { params: { query: { ...filter, ...page } } })),
  );

export const partnerQuery = (partnerId: number) =>
  queryOptions({
    queryKey: ["catalog", "partner", partnerId],
    queryFn: async () => {
      const { items } = await unwrap(delivery.GET("/catalog", { params: { query: { partner_id: partnerId } } }));
      return items[0] ?? null;
    },
  });

export const productsQuery = (partnerId: number, filter: Omit<CatalogFilter, "q">) =>
  listQuery(["catalog", "products", partnerId, filter], (page) =>
    unwrap(
      delivery.GET("/catalog/{partner_id}/products", {
        params: { path: { partner_id: partnerId }, query: { ...filter, ...page } },
      }),
    ),
  );

/** Returns all products of a partner, page by page. */
export async function loadAllProducts(partnerId: number): Promise<Schemas["CatalogProduct"][]> {
  const products: Schemas["CatalogProduct"][] = [];
  let page: { page_token?: string } | undefined = {};
  while (page !== undefined) {
    const { items, next_page_token }: Schemas["CatalogProductPage"] = await unwrap(
      delivery.GET("/catalog/{partner_id}/products", {
        params: { path: { partner_id: partnerId }, query: { page_size: 100, ...page } },
      }),
    );
    products.push(...items);
    page = next_page_token === undefined ? undefined : { page_token: next_page_token };
  }
  return products;
}

export const banksQuery = queryOptions({
  queryKey: ["banks"],
  queryFn: async () => (await unwrap(delivery.GET("/banks", { params: { query: { page_size: 100 } } }))).items,
  staleTime: 300_000,
});

export const checkQuery = (checkId: string) =>
  queryOptions({
    queryKey: ["check", checkId],
    queryFn: () => unwrap(delivery.GET("/order-checks/{check_id}", { params: { path: { check_id: checkId } } })),
  });

export const ordersQuery = (status: Schemas["OrderStatus"] | undefined) =>
  listQuery(["orders", "list", status], (page) =>
    unwrap(delivery.GET("/orders", { params: { query: { ...(status && { status }), ...page } } })),
  );

export const orderQuery = (orderId: string) =>
  queryOptions({
    queryKey: ["orders", orderId],
    queryFn: () => unwrap(delivery.GET("/orders/{order_id}", { params: { path: { order_id: orderId } } })),
  });

export const historyQuery = (orderId: string) =>
  listQuery(["orders", orderId, "history"], (page) =>
    unwrap(
      delivery.GET("/orders/{order_id}/history", { params: { path: { order_id: orderId }, query: page } }),
    ),
  );

export const notificationsQuery = listQuery(["notifications"], (page) =>
  unwrap(delivery.GET("/users/me/notifications", { params: { query: page } })),
);

export const devicesQuery = queryOptions({
  queryKey: ["devices"],
  queryFn: async () => (await unwrap(delivery.GET("/users/me/devices"))).items,
});

/** The profile and its ETag, with which an update rejects a concurrent change. */
export const profileQuery = queryOptions({
  queryKey: ["profile"],
  queryFn: async () => {
    const call = delivery.GET("/users/me");
    return { user: await unwrap(call), etag: (await call).response.headers.get("etag") ?? undefined };
  },
});
