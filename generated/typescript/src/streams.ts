// Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit.
import type { Delivery } from "./client.js";
import type { components, paths } from "./schema.js";
import { watch, type WatchEvent, type WatchOptions } from "./watch.js";

/**
 * Watch an order
 *
 * Server-sent events: the current status of the order, then every change; `id` is the order's version. A client that reconnects with `Last-Event-ID` receives every change since that version. The stream ends after a final status or when the token expires.
 */
export function watchOrder(
  delivery: Delivery,
  path: paths["/orders/{order_id}/events"]["get"]["parameters"]["path"],
  options: WatchOptions = {},
): AsyncGenerator<WatchEvent<components["schemas"]["OrderEvent"]>> {
  const finalValues: ReadonlySet<string> = new Set(["delivered", "cancelled", "expired"]);
  return watch(delivery, `/orders/${encodeURIComponent(path.order_id)}/events`, (data) => finalValues.has(data.status), options);
}
