// User journey of a customer with the compiled client, in Node and in a browser. `pay` emulates the bank's checkout page.
export async function journey({ createDelivery, ProblemError, unwrap, watchOrder }, { baseUrl, email, password, pay }) {
  let session;
  let streams = 0;
  const lastEventIds = [];

  // The first stream is interrupted after its first event.
  const fetch = async (request) => {
    const response = await globalThis.fetch(request);
    if (!request.url.endsWith("/events")) return response;
    lastEventIds.push(request.headers.get("last-event-id"));
    streams += 1;
    return streams > 1 ? response : new Response(interrupt(response.body), response);
  };
  const delivery = createDelivery({ baseUrl, token: () => session?.access_token, fetch });

  const { items } = await unwrap(delivery.GET("/catalog", { params: { query: { partner_id: 1 } } }));
  const [product] = items[0].products;

  const error = await unwrap(delivery.GET("/banks")).catch((reason) => reason);
  if (!(error instanceof ProblemError) || error.problem.reason !== "UNAUTHENTICATED") throw error;
  session = await unwrap(delivery.POST("/sessions", { body: { email, password } }));

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

  const events = [];
  let paid;
  for await (const { id, data } of watchOrder(delivery, { order_id: order.id }, { retryDelayMs: 10 })) {
    events.push({ id: Number(id), status: data.status });
    if (data.status === "pending") paid = pay({ order, payment });
    if (data.status === "paid") {
      await unwrap(delivery.POST("/orders/{order_id}/cancel", { params: { path: { order_id: order.id } } }));
    }
  }
  await paid;
  return {
    events,
    lastEventIds,
    replayed: repeated.response.headers.get("idempotency-replayed"),
    isSameOrder: repeated.data.order.id === order.id,
  };
}

function interrupt(body) {
  let chunks = 0;
  return body.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        chunks += 1;
        if (chunks > 1) controller.error(new TypeError("connection lost"));
        else controller.enqueue(chunk);
      },
    }),
  );
}
