// A customer's way through the compiled client, the same in Node and in a browser. `pay` is what the bank's page does.
export async function journey({ createDelivery, ProblemError, unwrap, watchOrder }, { baseUrl, email, password, pay }) {
  let session;
  let streams = 0;
  const asked = [];

  // The first stream is cut after its first event, as a network would.
  const fetch = async (request) => {
    const answer = await globalThis.fetch(request);
    if (!request.url.endsWith("/events")) return answer;
    asked.push(request.headers.get("last-event-id"));
    streams += 1;
    return streams > 1 ? answer : new Response(cut(answer.body), answer);
  };
  const delivery = createDelivery({ baseUrl, token: () => session?.access_token, fetch });

  const refused = await unwrap(delivery.GET("/catalog")).catch((error) => error);
  if (!(refused instanceof ProblemError) || refused.problem.reason !== "UNAUTHENTICATED") throw refused;
  session = await unwrap(delivery.POST("/sessions", { body: { email, password } }));

  const { items } = await unwrap(delivery.GET("/catalog", { params: { query: { partner_id: 1 } } }));
  const [product] = items[0].products;
  const check = await unwrap(
    delivery.POST("/order-checks", {
      body: {
        partner_id: 1,
        items: [{ product_id: product.id, quantity: 2 }],
        total_amount: 2 * product.price,
        bank_id: "visa",
        delivery_address: "1 Long Street",
      },
    }),
  );
  const header = { "Idempotency-Key": `journey-${check.check_id}`.slice(0, 64) };
  const confirm = () => delivery.POST("/orders", { params: { header }, body: { check_id: check.check_id } });
  const first = await unwrap(confirm());
  const repeated = await confirm();
  const { order, payment } = first;

  const told = [];
  let paid;
  for await (const { id, data } of watchOrder(delivery, { order_id: order.id }, { pause: 10 })) {
    told.push({ id: Number(id), status: data.status });
    if (data.status === "pending") paid = pay({ order, payment });
    if (data.status === "paid") {
      await unwrap(delivery.POST("/orders/{order_id}/cancel", { params: { path: { order_id: order.id } } }));
    }
  }
  await paid;
  return { told, asked, replayed: repeated.response.headers.get("idempotency-replayed"), same: repeated.data.order.id === order.id };
}

function cut(body) {
  let chunks = 0;
  return body.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        chunks += 1;
        if (chunks > 1) controller.error(new TypeError("the network is gone"));
        else controller.enqueue(chunk);
      },
    }),
  );
}
