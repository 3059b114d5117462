// Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit.
import type { Delivery } from "./client.js";
import type { components, paths } from "./schema.js";
import { type Told, watch, type WatchOptions } from "./watch.js";

/**
 * Follow an order
 *
 * Server-sent events: where the order stands now, then every change; `id` is the order's version. A client that comes back with `Last-Event-ID` is told of every change since. Ends after a final state, or when the token does.
 */
export function watchOrder(
  delivery: Delivery,
  path: paths["/orders/{order_id}/events"]["get"]["parameters"]["path"],
  options: WatchOptions = {},
): AsyncGenerator<Told<components["schemas"]["OrderEvent"]>> {
  const last: ReadonlySet<string> = new Set(["delivered", "cancelled", "expired"]);
  return watch(delivery, `/orders/${encodeURIComponent(path.order_id)}/events`, (data) => last.has(data.status), options);
}
