import { createParser } from "eventsource-parser";

/** One event of a `text/event-stream`. `id` is the last received id, possibly of an earlier event. */
export interface ServerSentEvent {
  id: string;
  event: string;
  data: string;
}

/** Callbacks for parts of the stream that are not events. */
export interface StreamCallbacks {
  /** Called with the reconnection delay that the server requests, in milliseconds. */
  onRetry?: (milliseconds: number) => void;
  /** Called when data has arrived, including comments. */
  onActivity?: () => void;
}

/** Parses events according to the HTML specification. An incomplete event at the end is discarded. */
export async function* events(
  body: ReadableStream<Uint8Array>,
  callbacks: StreamCallbacks = {},
): AsyncGenerator<ServerSentEvent> {
  let id = "";
  const received: ServerSentEvent[] = [];
  const parser = createParser({
    onEvent: (message) => {
      id = message.id ?? id;
      received.push({ id, event: message.event ?? "message", data: message.data });
    },
    onRetry: (milliseconds) => callbacks.onRetry?.(milliseconds),
  });
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      callbacks.onActivity?.();
      parser.feed(decoder.decode(value, { stream: true }));
      yield* received.splice(0);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
