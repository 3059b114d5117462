// Calls that must compile, and calls that must be type errors. Compiled, never executed.
import { createDelivery, type Problem, watchOrder } from "@delivery/client";

const delivery = createDelivery({ baseUrl: "http://127.0.0.1:8080/api/v1" });

export async function validCalls(): Promise<void> {
  const { data, error } = await delivery.GET("/partners/{partner_id}", {
    params: { path: { partner_id: 1 }, header: { "If-None-Match": '"1"' } },
  });
  const title: string | undefined = data?.title;
  const reason: Problem["reason"] | undefined = error?.reason;
  await delivery.POST("/orders", {
    params: { header: { "Idempotency-Key": "key" } },
    body: { check_id: "c" },
  });
  await delivery.PATCH("/partners/{partner_id}", {
    params: { path: { partner_id: 1 }, header: { "If-Match": '"1"' } },
    body: { title: "Another" },
  });
  for await (const { id, data: step } of watchOrder(delivery, { order_id: "o" })) {
    const status: "pending" | "paid" | "ready" | "delivering" | "delivered" | "cancelled" | "expired" = step.status;
    console.log(id, status, title, reason);
  }
}

export async function invalidCalls(): Promise<void> {
  // @ts-expect-error unknown path
  await delivery.GET("/nowhere");
  // @ts-expect-error missing field
  await delivery.POST("/sessions", { body: { email: "a@delivery.test" } });
  // @ts-expect-error number instead of string
  await delivery.POST("/orders", { body: { check_id: 1 } });
  // @ts-expect-error string instead of number
  await delivery.GET("/partners/{partner_id}", { params: { path: { partner_id: "one" } } });
  // @ts-expect-error unknown query parameter
  await delivery.GET("/catalog", { params: { query: { colour: "red" } } });
  // @ts-expect-error unknown role
  await delivery.PUT("/users/{user_id}/role", { params: { path: { user_id: "u" } }, body: { role: "king" } });
  // @ts-expect-error missing order_id
  watchOrder(delivery, {});
}
