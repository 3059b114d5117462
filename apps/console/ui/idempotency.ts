import { useRef } from "react";

/** Idempotency keys of one action. */
export interface IdempotencyKeys {
  /** Returns the key of a body; a repeated body has the key of its first request. */
  get: (body?: unknown) => string;
  /** Ends the action after its success. */
  complete: () => void;
}

export function useIdempotencyKeys(): IdempotencyKeys {
  const last = useRef<{ key: string; text: string }>(undefined);
  return {
    get: (body = null) => {
      const text = JSON.stringify(body);
      if (last.current?.text !== text) last.current = { key: crypto.randomUUID(), text };
      return last.current.key;
    },
    complete: () => (last.current = undefined),
  };
}
