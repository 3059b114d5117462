import type { __Name__ } from "./client.js";
import { parseRetryAfter, ProblemError } from "./problem.js";
import { events } from "./sse.js";

/** Options for watching a stream. */
export interface WatchOptions {
  /** Ends the watch and the loop over it. */
  signal?: AbortSignal;
  /** The `id` of the last received event, to resume an earlier watch. */
  lastEventId?: string;
  /** Milliseconds without data after which a connection counts as lost. The server sends a heartbeat every 15 seconds. */
  silenceTimeoutMs?: number;
  /** Milliseconds before the first reconnection. The delay doubles up to 30 seconds and is reset by a new event. */
  retryDelayMs?: number;
  /** Maximum number of consecutive failed connections before the error is thrown. */
  attempts?: number;
}

/** An event with the `id` from which a later watch can resume. */
export interface WatchEvent<T> {
  id: string;
  data: T;
}

const MAX_DELAY_MS = 30_000;

/** Returns the query string of parameters. Those in `joined` are lists in one value, others repeat their name. */
export function formatQuery(parameters: object, joined: readonly string[]): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    const texts = values.filter((each) => each !== undefined).map(String);
    for (const text of joined.includes(name) && texts.length > 0 ? [texts.join(",")] : texts) query.append(name, text);
  }
  return query.size > 0 ? `?${query}` : "";
}

/**
 * Watches a stream across lost connections without gaps or duplicates, until the last event.
 * Throws ProblemError for a permanent error response, and the last error after too many failed connections.
 */
export async function* watch<T>(
  __name__: __Name__,
  path: string,
  isLast: (data: T) => boolean,
  { signal, lastEventId = "", silenceTimeoutMs = 45_000, retryDelayMs = 1_000, attempts = 10 }: WatchOptions = {},
): AsyncGenerator<WatchEvent<T>> {
  let lastId = lastEventId;
  let failures = 0;
  let baseDelayMs = retryDelayMs;
  while (!signal?.aborted) {
    const connection = new Connection(signal, silenceTimeoutMs);
    let requestedDelayMs: number | undefined;
    try {
      const headers = new Headers({ accept: "text/event-stream" });
      if (lastId !== "") headers.set("last-event-id", lastId);
      const response = await __name__.send(
        new Request(__name__.baseUrl + path, { headers, cache: "no-store", signal: connection.signal }),
      );
      if (response.status === 204) return;
      if (!response.ok || response.body === null) {
        requestedDelayMs = toDelayMs(parseRetryAfter(response));
        throw await ProblemError.of(response);
      }
      const callbacks = {
        onRetry: (milliseconds: number) => (baseDelayMs = milliseconds),
        onActivity: () => connection.resetTimeout(),
      };
      for await (const event of events(response.body, callbacks)) {
        // Named events do not change the id.
        if (event.event === "message" && event.id !== "" && event.id === lastId) continue;
        lastId = event.id;
        failures = 0;
        const data = JSON.parse(event.data) as T;
        yield { id: event.id, data };
        if (isLast(data)) return;
      }
      failures += 1;
      if (failures > attempts) throw new Error("the stream ended repeatedly before its last event");
    } catch (error) {
      if (signal?.aborted) return;
      const isPermanent = error instanceof ProblemError && error.status < 500 && error.status !== 429;
      failures += 1;
      if (isPermanent || failures > attempts) throw error;
    } finally {
      connection.close();
    }
    await delay(requestedDelayMs ?? Math.min(baseDelayMs * 2 ** Math.max(0, failures - 1), MAX_DELAY_MS), signal);
  }
}

/** A connection that is aborted by the caller's signal, by the silence timeout, or by `close`. */
class Connection {
  private readonly controller = new AbortController();
  private readonly abort = () => this.controller.abort();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly callerSignal: AbortSignal | undefined,
    private readonly silenceTimeoutMs: number,
  ) {
    callerSignal?.addEventListener("abort", this.abort, { once: true });
    this.resetTimeout();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  resetTimeout(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.abort, this.silenceTimeoutMs);
  }

  close(): void {
    clearTimeout(this.timer);
    this.callerSignal?.removeEventListener("abort", this.abort);
    this.abort();
  }
}

function toDelayMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.min(seconds * 1_000, MAX_DELAY_MS);
}

/** Waits for the given time, or until the signal is aborted. */
function delay(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end();
  });
}
