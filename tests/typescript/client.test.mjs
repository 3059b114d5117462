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

async function all(iterable) {
  const found = [];
  for await (const each of iterable) found.push(each);
  return found;
}

const STREAM = '\uFEFF: hello\r\nretry: 70\nid: 1\ndata: {"a":"é"}\r\ndata\rdata:  two\n\nid: 2\u0000\nevent: x\ndata: 🍕\n\nid\ndata: z\n\ndata: lost';
const EVENTS = [
  { id: "1", event: "message", data: '{"a":"é"}\n\n two' },
  { id: "1", event: "x", data: "🍕" },
  { id: "", event: "message", data: "z" },
];

test("a stream is read alike wherever the network cuts it", async () => {
  const whole = bytes(STREAM);
  for (let cut = 0; cut <= whole.length; cut += 1) {
    let retry;
    const hints = { retry: (said) => (retry = said) };
    assert.deepEqual(await all(events(body(whole.slice(0, cut), whole.slice(cut)), hints)), EVENTS, `cut at ${cut}`);
    assert.equal(retry, 70);
  }
  const single = Array.from(whole, (each) => Uint8Array.of(each));
  assert.deepEqual(await all(events(body(...single))), EVENTS);
});

const told = (id, status) => `id: ${id}\ndata: ${JSON.stringify({ order_id: "o", status, at: "2026-01-01T00:00:00Z" })}\n\n`;
const stream = (...chunks) => new Response(body(...chunks), { headers: { "content-type": "text/event-stream" } });
const problem = (status, reason, headers = {}) =>
  new Response(JSON.stringify({ type: "", title: "", status, detail: "no", reason, trace_id: "" }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });

function server(...answers) {
  const asked = [];
  const fetch = async (request) => {
    asked.push({ last: request.headers.get("last-event-id"), token: request.headers.get("authorization"), at: Date.now() });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return typeof answer === "function" ? answer(request) : answer;
  };
  return { asked, fetch };
}

const follow = (fetch, options = {}, more = {}) =>
  all(watchOrder(createDelivery({ baseUrl: "http://api.test", fetch, ...more }), { order_id: "o" }, { pause: 1, ...options }));
const ids = (found) => found.map(({ id }) => id);

test("a lost connection is resumed without a gap or a repetition", async () => {
  const { asked, fetch } = server(
    stream(told(1, "pending"), "id: 2\nda"),
    new TypeError("gone"),
    problem(503, "UPSTREAM_UNAVAILABLE"),
    stream(told(1, "pending"), told(2, "paid"), told(3, "cancelled"), told(4, "never read")),
  );
  assert.deepEqual(ids(await follow(fetch)), ["1", "2", "3"]);
  assert.deepEqual(asked.map(({ last }) => last), [null, "1", "1", "1"]);
});

test("a watch begins where an earlier one has stopped", async () => {
  const { asked, fetch } = server(stream(told(8, "delivered")));
  assert.deepEqual(ids(await follow(fetch, { lastEventId: "7" })), ["8"]);
  assert.equal(asked[0].last, "7");
});

test("the server says how long to wait", async () => {
  const { asked, fetch } = server(
    problem(429, "RATE_LIMITED", { "retry-after": "1" }),
    stream("retry: 60\n\n"),
    stream(told(1, "expired")),
  );
  await follow(fetch);
  assert.ok(asked[1].at - asked[0].at >= 990);
  assert.ok(asked[2].at - asked[1].at >= 59);
});

test("what asking again would not change is thrown", async () => {
  const { asked, fetch } = server(problem(404, "ORDER_NOT_FOUND"));
  await assert.rejects(follow(fetch), (error) => error instanceof ProblemError && error.problem.reason === "ORDER_NOT_FOUND");
  assert.equal(asked.length, 1);
});

test("coming back is given up at some point", async () => {
  const down = server(...Array.from({ length: 9 }, () => new TypeError("down")));
  await assert.rejects(follow(down.fetch, { attempts: 2 }), /down/);
  assert.equal(down.asked.length, 3);
  const empty = server(...Array.from({ length: 9 }, () => stream()));
  await assert.rejects(follow(empty.fetch, { attempts: 2 }), /ends again and again/);
});

test("a silent connection counts as lost, one that beats does not", async () => {
  const silent = (request) =>
    new Response(new ReadableStream({ start: (c) => request.signal.addEventListener("abort", () => c.error(new Error("cut"))) }));
  const beating = () => {
    let beats = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 30));
          beats += 1;
          controller.enqueue(bytes(beats < 5 ? ": beat\n\n" : told(1, "delivered")));
        },
      }),
    );
  };
  const { asked, fetch } = server(silent, beating);
  assert.deepEqual(ids(await follow(fetch, { silence: 100 })), ["1"]);
  assert.equal(asked.length, 2);
});

test("a caller who leaves takes the connection along", async () => {
  const leaving = new AbortController();
  let closed;
  const fetch = async (request) => {
    request.signal.addEventListener("abort", () => (closed = true));
    return new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(bytes(told(1, "pending")));
          request.signal.addEventListener("abort", () => controller.error(request.signal.reason));
        },
      }),
    );
  };
  const seen = [];
  for await (const { id } of watchOrder(createDelivery({ baseUrl: "http://api.test", fetch }), { order_id: "o" }, { signal: leaving.signal })) {
    seen.push(id);
    leaving.abort();
  }
  assert.deepEqual([seen, closed], [["1"], true]);
});

test("a token that has ended is renewed once for all who wait", async () => {
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
  const answers = await Promise.all([delivery.GET("/banks"), delivery.POST("/orders", { body }), delivery.GET("/banks")]);
  assert.deepEqual(answers.map(({ response }) => response.status), [200, 200, 200]);
  assert.equal(answers[1].data.body, JSON.stringify(body));
  assert.equal(renewals, 1);
});

test("who cannot renew is told so, once", async () => {
  const { asked, fetch } = server(problem(401, "UNAUTHENTICATED"));
  const delivery = createDelivery({ baseUrl: "http://api.test", token: () => "old", renew: async () => undefined, fetch });
  const { error, response } = await delivery.GET("/banks");
  assert.deepEqual([error.reason, response.status, asked.length], ["UNAUTHENTICATED", 401, 1]);
});
