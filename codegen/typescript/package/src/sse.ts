/** One event of a `text/event-stream`. `id` is the last that was told, also by an event before. */
export interface ServerSentEvent {
  id: string;
  event: string;
  data: string;
}

/** What a stream says beside its events. */
export interface Hints {
  /** Milliseconds that the server wants clients to wait before they come back. */
  retry?: (milliseconds: number) => void;
  /** Something has arrived, be it a comment. */
  alive?: () => void;
}

/** Reads events as HTML's specification has them. What is left unfinished at the end is dropped, as it says. */
export async function* events(body: ReadableStream<Uint8Array>, hints: Hints = {}): AsyncGenerator<ServerSentEvent> {
  let id = "";
  let event = "";
  let data: string[] = [];
  for await (const line of lines(body, hints)) {
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
    else if (field === "retry" && /^[0-9]+$/.test(value)) hints.retry?.(Number(value));
  }
}

/** Lines end by CR, LF or both, wherever the network cuts. */
async function* lines(body: ReadableStream<Uint8Array>, hints: Hints): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let held = "";
  let afterReturn = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      hints.alive?.();
      let text = decoder.decode(value, { stream: true });
      if (afterReturn && text.startsWith("\n")) text = text.slice(1);
      if (text === "") continue;
      afterReturn = text.endsWith("\r");
      const parts = (held + text).split(/\r\n|\n|\r/);
      held = parts.pop() ?? "";
      yield* parts;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
