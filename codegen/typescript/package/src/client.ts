import createClient, { type Client } from "openapi-fetch";

import type { paths } from "./schema.js";

/** How to reach the API, and by whose token. */
export interface Options {
  /** With the version: `https://api.example.com/api/v1`. */
  baseUrl: string;
  /** The access token of now; nothing for those who are not signed in. */
  token?: () => string | undefined | Promise<string | undefined>;
  /** Called after a 401: a new access token, with which the request is made once more, or nothing. */
  renew?: () => Promise<string | undefined>;
  /** Another `fetch` than the platform's. */
  fetch?: (request: Request) => Promise<Response>;
}

/** A typed client of every operation, by path. `send` and `baseUrl` are for what is not plain JSON. */
export interface Delivery extends Client<paths> {
  readonly baseUrl: string;
  readonly send: (request: Request) => Promise<Response>;
}

/** Makes a client. Requests that wait for a new token at the same time share one. */
export function createDelivery({ baseUrl, token, renew, fetch = (request) => globalThis.fetch(request) }: Options): Delivery {
  let renewing: Promise<string | undefined> | undefined;

  const renewTokenOnce = (): Promise<string | undefined> => {
    renewing ??= (renew?.() ?? Promise.resolve(undefined)).finally(() => (renewing = undefined));
    return renewing;
  };

  const send = async (request: Request): Promise<Response> => {
    const own = request.headers.has("authorization");
    const first = own ? undefined : await token?.();
    const again = first !== undefined && renew ? request.clone() : undefined;
    const answer = await fetch(bearing(request, first));
    if (answer.status !== 401 || !again) return answer;
    const fresh = await renewTokenOnce();
    if (fresh === undefined) return answer;
    await answer.body?.cancel();
    return fetch(bearing(again, fresh));
  };

  return Object.assign(createClient<paths>({ baseUrl, fetch: send }), { baseUrl, send });
}

function bearing(request: Request, token: string | undefined): Request {
  if (token !== undefined) request.headers.set("authorization", `Bearer ${token}`);
  return request;
}
