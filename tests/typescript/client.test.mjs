import assert from "node:assert/strict";
import { test } from "node:test";

const { createDelivery, ProblemError, watchOrder } = await import(`${process.env.CLIENT}/index.js`);
const { events } = await import(`${process.env.CLIENT}/sse.js`);

const bytes = (text) => new TextEncoder().encode(text);

function body(...chunks) {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(typeof chunk === "string" ? bytes(chunk) : chunk);
      controller.close();
    },
  });
}

async function collect(iterable) {
  const items = [];
  for await (const each of iterable) items.push(each);
  return items;
}

const STREAM = '\uFEFF: hello\r\nretry: 70\nid: 1\ndata: {"a":"é"}\r\ndata\rdata:  two\n\nid: 2\u0000\nevent: x\ndata: 🍕\n\nid\ndata: z\n\ndata: lost';
const EVENTS = [
  { id: "1", event: "message", data: '{"a":"é"}\n\n two' },
  { id: "1", event: "x", data: "🍕" },
  { id: "", event: "message", data: "z" },
];

test("stream parsing does not depend on chunk boundaries", async () => {
  const whole = bytes(STREAM);
  for (let cut = 0; cut <= whole.length; cut += 1) {
    let retry;
    const callbacks = { onRetry: (milliseconds) => (retry = milliseconds) };
    const chunks = body(whole.slice(0, cut), whole.slice(cut));
    assert.deepEqual(await collect(events(chunks, callbacks)), EVENTS, `cut at ${cut}`);
    assert.equal(retry, 70);
  }
  const single = Array.from(whole, (each) => Uint8Array.of(each));
  assert.deepEqual(await collect(events(body(...single))), EVENTS);
});

const eventText = (id, status) => `id: ${id}\ndata: ${JSON.stringify({ order_id: "o", status, at: "2026-01-01T00:00:00Z" })}\n\n`;
const stream = (...chunks) => new Response(body(...chunks), { headers: { "content-type": "text/event-stream" } });
const problem = (status, reason, headers = {}) =>
  new Response(JSON.stringify({ type: "", title: "", status, detail: "no", reason, trace_id: "" }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });

function stubServer(...responses) {
  const requests = [];
  const fetch = async (request) => {
    requests.push({ lastEventId: request.headers.get("last-event-id"), token: request.headers.get("authorization"), at: Date.now() });
    const response = responses.shift();
    if (response instanceof Error) throw response;
    return typeof response === "function" ? response(request) : response;
  };
  return { requests, fetch };
}

const watchAll = (fetch, options = {}) =>
  collect(watchOrder(createDelivery({ baseUrl: "http://api.test", fetch }), { order_id: "o" }, { retryDelayMs: 1, ...options }));
const ids = (watchEvents) => watchEvents.map(({ id }) => id);

test("positions with the id of the last change are no duplicates", async () => {
  const position = `event: deliverer_position\n${eventText(1, "delivering")}`;
  const { fetch } = stubServer(stream(eventText(1, "delivering"), position, position, eventText(1, "delivering"), eventText(2, "delivered")));
  assert.deepEqual(ids(await watchAll(fetch)), ["1", "1", "1", "2"]);
});

test("lost connection is resumed without gaps or duplicates", async () => {
  const { requests, fetch } = stubServer(
    stream(eventText(1, "pending"), "id: 2\nda"),
    new TypeError("connection lost"),
    problem(503, "UPSTREAM_UNAVAILABLE"),
    stream(eventText(1, "pending"), eventText(2, "paid"), eventText(3, "cancelled"), eventText(4, "never read")),
  );
  assert.deepEqual(ids(await watchAll(fetch)), ["1", "2", "3"]);
  assert.deepEqual(requests.map(({ lastEventId }) => lastEventId), [null, "1", "1", "1"]);
});

test("watch with lastEventId resumes after that event", async () => {
  const { requests, fetch } = stubServer(stream(eventText(8, "delivered")));
  assert.deepEqual(ids(await watchAll(fetch, { lastEventId: "7" })), ["8"]);
  assert.equal(requests[0].lastEventId, "7");
});

test("watch ends at 204, after which nothing follows", async () => {
  const { requests, fetch } = stubServer(new Response(null, { status: 204 }));
  assert.deepEqual(await watchAll(fetch, { lastEventId: "8" }), []);
  assert.equal(requests.length, 1);
});

test("watch respects Retry-After and the retry field", async () => {
  const { requests, fetch } = stubServer(
    problem(429, "RATE_LIMITED", { "retry-after": "1" }),
    stream("retry: 60\n\n"),
    stream(eventText(1, "expired")),
  );
  await watchAll(fetch);
  assert.ok(requests[1].at - requests[0].at >= 990);
  assert.ok(requests[2].at - requests[1].at >= 59);
});

test("permanent error response is thrown without retry", async () => {
  const { requests, fetch } = stubServer(problem(404, "ORDER_NOT_FOUND"));
  await assert.rejects(watchAll(fetch), (error) => error instanceof ProblemError && error.problem.reason === "ORDER_NOT_FOUND");
  assert.equal(requests.length, 1);
});

test("watch throws after the maximum number of attempts", async () => {
  const down = stubServer(...Array.from({ length: 9 }, () => new TypeError("down")));
  await assert.rejects(watchAll(down.fetch, { attempts: 2 }), /down/);
  assert.equal(down.requests.length, 3);
  const empty = stubServer(...Array.from({ length: 9 }, () => stream()));
  await assert.rejects(watchAll(empty.fetch, { attempts: 2 }), /ended repeatedly/);
});

test("connection without data is lost, heartbeats preserve it", async () => {
  const silent = (request) =>
    new Response(new ReadableStream({ start: (c) => request.signal.addEventListener("abort", () => c.error(new Error("cut"))) }));
  const withHeartbeats = () => {
    let heartbeats = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 30));
          heartbeats += 1;
          controller.enqueue(bytes(heartbeats < 5 ? ": heartbeat\n\n" : eventText(1, "delivered")));
        },
      }),
    );
  };
  const { requests, fetch } = stubServer(silent, withHeartbeats);
  assert.deepEqual(ids(await watchAll(fetch, { silenceTimeoutMs: 100 })), ["1"]);
  assert.equal(requests.length, 2);
});

test("aborted signal closes the connection", async () => {
  const controller = new AbortController();
  let closed;
  const fetch = async (request) => {
    request.signal.addEventListener("abort", () => (closed = true));
    return new Response(
      new ReadableStream({
        start(streamController) {
          streamController.enqueue(bytes(eventText(1, "pending")));
          request.signal.addEventListener("abort", () => streamController.error(request.signal.reason));
        },
      }),
    );
  };
  const seen = [];
  for await (const { id } of watchOrder(createDelivery({ baseUrl: "http://api.test", fetch }), { order_id: "o" }, { signal: controller.signal })) {
    seen.push(id);
    controller.abort();
  }
  assert.deepEqual([seen, closed], [["1"], true]);
});

test("expired token is renewed once for concurrent requests", async () => {
  let token = "old";
  let renewals = 0;
  const fetch = async (request) =>
    request.headers.get("authorization") === "Bearer new"
      ? Response.json({ items: [], body: await request.text() })
      : problem(401, "UNAUTHENTICATED");
  const renew = async () => {
    renewals += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
    return (token = "new");
  };
  const delivery = createDelivery({ baseUrl: "http://api.test", token: () => token, renew, fetch });
  const body = { check_id: "c" };
  const results = await Promise.all([delivery.GET("/banks"), delivery.POST("/orders", { body }), delivery.GET("/banks")]);
  assert.deepEqual(results.map(({ response }) => response.status), [200, 200, 200]);
  assert.equal(results[1].data.body, JSON.stringify(body));
  assert.equal(renewals, 1);
});

test("request that is rejected after a renewal is repeated without another one", async () => {
  let token = "old";
  const fetch = async (request) => {
    if (request.headers.get("authorization") === "Bearer new") return Response.json({ items: [] });
    token = "new"; // Another request or tab renews the token before this request is rejected.
    return problem(401, "UNAUTHENTICATED");
  };
  const renew = async () => assert.fail("renewed twice");
  const delivery = createDelivery({ baseUrl: "http://api.test", token: () => token, renew, fetch });
  const { response } = await delivery.GET("/banks");
  assert.equal(response.status, 200);
});

test("failed renewal returns the 401 response", async () => {
  const { requests, fetch } = stubServer(problem(401, "UNAUTHENTICATED"));
  const delivery = createDelivery({ baseUrl: "http://api.test", token: () => "old", renew: async () => undefined, fetch });
  const { error, response } = await delivery.GET("/banks");
  assert.deepEqual([error.reason, response.status, requests.length], ["UNAUTHENTICATED", 401, 1]);
});
