import type { Delivery } from "./client.js";
import { patience, ProblemError } from "./problem.js";
import { events } from "./sse.js";

/** How a stream is followed. Times are milliseconds. */
export interface WatchOptions {
  /** Ends the watch; the loop over it ends as well. */
  signal?: AbortSignal;
  /** Where an earlier watch has stopped: the `id` of the last event it told. */
  lastEventId?: string;
  /** How long a connection may be silent before it counts as lost; the server's heart beats every 15 seconds. */
  silence?: number;
  /** The first pause before coming back; it doubles up to half a minute, until something new is told. */
  pause?: number;
  /** How often in a row coming back may fail before the failure is thrown. */
  attempts?: number;
}

/** An event, and the `id` from which a later watch goes on. */
export interface Told<T> {
  id: string;
  data: T;
}

const MAX_DELAY_MS = 30_000;

/**
 * Follows a stream over lost connections without a gap or a repetition, until an event is the last.
 * Throws ProblemError for an answer that asking again would not change, and the last failure when there were too many.
 */
export async function* watch<T>(
  delivery: Delivery,
  path: string,
  isLast: (data: T) => boolean,
  { signal, lastEventId = "", silence = 45_000, pause = 1_000, attempts = 10 }: WatchOptions = {},
): AsyncGenerator<Told<T>> {
  let last = lastEventId;
  let failures = 0;
  let asked = pause;
  while (!signal?.aborted) {
    const connection = new Connection(signal, silence);
    let wait: number | undefined;
    try {
      const headers = new Headers({ accept: "text/event-stream" });
      if (last !== "") headers.set("last-event-id", last);
      const answer = await delivery.send(
        new Request(delivery.baseUrl + path, { headers, cache: "no-store", signal: connection.signal }),
      );
      if (!answer.ok || answer.body === null) {
        wait = seconds(patience(answer));
        throw await ProblemError.of(answer);
      }
      const hints = { retry: (milliseconds: number) => (asked = milliseconds), alive: () => connection.alive() };
      for await (const event of events(answer.body, hints)) {
        if (event.id !== "" && event.id === last) continue;
        last = event.id;
        failures = 0;
        const data = JSON.parse(event.data) as T;
        yield { id: event.id, data };
        if (isLast(data)) return;
      }
      failures += 1;
      if (failures > attempts) throw new Error("the stream ends again and again before its last event");
    } catch (error) {
      if (signal?.aborted) return;
      const lasting = error instanceof ProblemError && error.status < 500 && error.status !== 429;
      failures += 1;
      if (lasting || failures > attempts) throw error;
    } finally {
      connection.close();
    }
    await rested(wait ?? Math.min(asked * 2 ** Math.max(0, failures - 1), MAX_DELAY_MS), signal);
  }
}

/** One connection: aborted by the caller, by silence, or because its reader has left. */
class Connection {
  private readonly controller = new AbortController();
  private readonly leave = () => this.controller.abort();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly caller: AbortSignal | undefined,
    private readonly silence: number,
  ) {
    caller?.addEventListener("abort", this.leave, { once: true });
    this.alive();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  alive(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.leave, this.silence);
  }

  close(): void {
    clearTimeout(this.timer);
    this.caller?.removeEventListener("abort", this.leave);
    this.leave();
  }
}

function seconds(of: number | undefined): number | undefined {
  return of === undefined ? undefined : Math.min(of * 1_000, MAX_DELAY_MS);
}

/** Waits, but not for longer than the caller does. */
function rested(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
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
