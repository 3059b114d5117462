/** The client of the API with the session's token, and the rules for retries. */
import { type components, createDelivery, ProblemError, unwrap } from "@delivery/client";
import { QueryClient } from "@tanstack/react-query";

import { endSession, renewSession, session } from "./session";

export type Schemas = components["schemas"];

/** Origin of the API: that of the page, or the one in the page's `<meta name="api-origin">`. */
export const API_ORIGIN =
  document.querySelector<HTMLMetaElement>('meta[name="api-origin"]')?.content || window.location.origin;

export const delivery = createDelivery({
  baseUrl: `${API_ORIGIN}/api/v1`,
  token: () => session.get()?.access_token,
  renew: () => renewSession(refresh),
  fetch: async (request) => {
    const response = await fetch(request);
    if (response.status === 401) await endRevokedSession(request, response.clone());
    return response;
  },
});

async function endRevokedSession(request: Request, response: Response): Promise<void> {
  const { problem } = await ProblemError.of(response);
  const token = request.headers.get("authorization")?.replace("Bearer ", "");
  if (problem?.reason === "TOKEN_REVOKED" && token !== undefined) endSession(token);
}

async function refresh({ refresh_token }: { refresh_token: string }) {
  const { data, response } = await delivery.POST("/sessions/refresh", { body: { refresh_token } });
  // Other errors do not end the session: its refresh token may still be valid.
  if (data === undefined && response.status !== 401) throw await ProblemError.of(new Response(null, response));
  return data;
}

/** Returns the absolute URL of a `picture_url` or `avatar_url`. */
export function resolveUrl(url: string): string {
  return new URL(url, API_ORIGIN).href;
}

const MAX_RETRIES = 3;

function isTransient(error: Error): boolean {
  if (!(error instanceof ProblemError)) return true;
  return [408, 429, 500, 502, 503, 504].includes(error.status);
}

/** Returns whether an idempotent request is repeated after its error. */
export function shouldRetry(failures: number, error: Error): boolean {
  return failures < MAX_RETRIES && isTransient(error);
}

/** Returns the delay before a repetition, in milliseconds: that of `Retry-After`, or an exponential one. */
export function getRetryDelay(failures: number, error: Error): number {
  const seconds = error instanceof ProblemError ? error.retryAfter : undefined;
  return seconds === undefined ? Math.min(500 * 2 ** failures, 8_000) : Math.min(seconds, 30) * 1_000;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: shouldRetry, retryDelay: getRetryDelay, staleTime: 10_000, networkMode: "always" },
    mutations: { retry: false, networkMode: "always" },
  },
});

export { unwrap };
