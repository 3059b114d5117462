// Order of a customer with the client that @hey-api/openapi-ts writes.
import { client } from "./hey/client.gen";
import { cancelOrder, checkOrder, confirmOrder, getOrder, listCatalog, signIn, watchOrder } from "./hey/sdk.gen";

declare const process: { env: Record<string, string> };

async function main(): Promise<void> {
  client.setConfig({ baseUrl: process.env["BASE_URL"]! });
  const body = { email: process.env["EMAIL"]!, password: process.env["PASSWORD"]! };
  const session = await signIn({ body, throwOnError: true });
  client.setConfig({ auth: session.data.access_token });
  const catalog = await listCatalog({ query: { partner_id: 1 }, throwOnError: true });
  const product = catalog.data.items[0]!.products[0]!;
  const check = await checkOrder({
    body: {
      partner_id: 1,
      items: [{ product_id: product.id, quantity: 2 }],
      total_amount: 2 * product.price,
      bank_id: "visa",
      delivery_address: "1 Long Street",
    },
    throwOnError: true,
  });
  const confirmed = await confirmOrder({ body: { check_id: check.data.check_id }, throwOnError: true });
  const path = { order_id: confirmed.data.order.id };
  const order = await getOrder({ path, throwOnError: true });
  await cancelOrder({ path, body: {}, throwOnError: true });
  const { stream } = await watchOrder({ path, headers: { "Last-Event-ID": "1" }, sseMaxRetryAttempts: 1 });
  const events: unknown[] = [];
  for await (const event of stream) events.push(event);
  const headers = { authorization: `Bearer ${session.data.access_token}`, "Last-Event-ID": "2" };
  const ended = await fetch(`${process.env["BASE_URL"]}/orders/${path.order_id}/events`, { headers });
  console.log(JSON.stringify({ status: order.data.status, events: JSON.stringify(events), ended: ended.status }));
}

void main();
