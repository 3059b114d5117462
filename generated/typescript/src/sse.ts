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
  let event = "";
  let data: string[] = [];
  for await (const line of lines(body, callbacks)) {
    if (line === "") {
      if (data.length > 0) yield { id, event: event || "message", data: data.join("\n") };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") data.push(value);
    else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) callbacks.onRetry?.(Number(value));
  }
}

/** Splits the stream at CR, LF or CRLF, independent of chunk boundaries. */
async function* lines(body: ReadableStream<Uint8Array>, callbacks: StreamCallbacks): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let incomplete = "";
  let afterReturn = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      callbacks.onActivity?.();
      let text = decoder.decode(value, { stream: true });
      if (afterReturn && text.startsWith("\n")) text = text.slice(1);
      if (text === "") continue;
      afterReturn = text.endsWith("\r");
      const parts = (incomplete + text).split(/\r\n|\n|\r/);
      incomplete = parts.pop() ?? "";
      yield* parts;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
