/** The session of the signed-in user. */
import type { components } from "@delivery/client";

import { Stored } from "./stored";

export type Session = components["schemas"]["Session"];

export const session = new Stored<Session>("session");

/** Removes the session to which an access token belongs; a newer session is unaffected. */
export function endSession(accessToken: string): void {
  if (session.read()?.access_token === accessToken) session.set(undefined);
}

/** Time in milliseconds after which the value that another tab has stored is visible in this tab. */
const STORAGE_DELAY = 2_000;

/** Renews the session once for all tabs, and returns the new access token. `refresh` returns the new session. */
export async function renewSession(refresh: (expired: Session) => Promise<Session | undefined>): Promise<string | undefined> {
  const expired = session.get();
  if (expired === undefined) return undefined;
  const { held = [] } = await navigator.locks.query();
  const isRenewing = held.some(({ name }) => name === session.key);
  return navigator.locks.request(session.key, async () => {
    // The lock is released before the browser has copied the new session to this tab's process.
    if (isRenewing && session.read()?.access_token === expired.access_token) await session.waitForChange(STORAGE_DELAY);
    const stored = session.read();
    // Another tab has renewed or ended it.
    if (stored?.access_token !== expired.access_token) return stored?.access_token;
    const renewed = await refresh(expired);
    if (session.read()?.access_token === expired.access_token) session.set(renewed);
    return renewed?.access_token;
  });
}

export function useSession(): Session | undefined {
  return session.use();
}
