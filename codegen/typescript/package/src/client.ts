import createClient, { type Client } from "openapi-fetch";

import type { paths } from "./schema.js";

/** Options of the client: base URL, access token and transport. */
export interface Options {
  /** Base URL with the version: `https://api.example.com/api/v1`. */
  baseUrl: string;
  /** Returns the current access token, or undefined for an unauthenticated user. */
  token?: () => string | undefined | Promise<string | undefined>;
  /** Called after a 401. Returns a new access token, with which the request is repeated once, or undefined. */
  renew?: () => Promise<string | undefined>;
  /** Replaces the platform's `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
}

/** Typed client of all operations by path. `send` and `baseUrl` serve requests that are not plain JSON. */
export interface __Name__ extends Client<paths> {
  readonly baseUrl: string;
  readonly send: (request: Request) => Promise<Response>;
}

/** Creates a client. Concurrent requests share one renewal of the token. */
export function create__Name__({ baseUrl, token, renew, fetch = (request) => globalThis.fetch(request) }: Options): __Name__ {
  let renewing: Promise<string | undefined> | undefined;

  const renewTokenOnce = (): Promise<string | undefined> => {
    renewing ??= (renew?.() ?? Promise.resolve(undefined)).finally(() => (renewing = undefined));
    return renewing;
  };

  const send = async (request: Request): Promise<Response> => {
    const hasAuthorization = request.headers.has("authorization");
    const currentToken = hasAuthorization ? undefined : await token?.();
    const retryRequest = currentToken !== undefined && renew ? request.clone() : undefined;
    const response = await fetch(withToken(request, currentToken));
    if (response.status !== 401 || !retryRequest) return response;
    const latestToken = await token?.();
    // Another request or tab may have renewed the token while this request was running.
    const newToken = latestToken === currentToken ? await renewTokenOnce() : latestToken;
    if (newToken === undefined) return response;
    await response.body?.cancel();
    return fetch(withToken(retryRequest, newToken));
  };

  return Object.assign(createClient<paths>({ baseUrl, fetch: send }), { baseUrl, send });
}

function withToken(request: Request, token: string | undefined): Request {
  if (token !== undefined) request.headers.set("authorization", `Bearer ${token}`);
  return request;
}
