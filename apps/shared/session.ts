/** The session of the signed-in user: stored for reloads and shared by all tabs of an app. */
import type { components } from "@delivery/client";
import { useSyncExternalStore } from "react";

export type Session = components["schemas"]["Session"];

const KEY = `${import.meta.env.BASE_URL}session`;
const listeners = new Set<() => void>();

let current = read();

function read(): Session | undefined {
  const text = localStorage.getItem(KEY);
  return text === null ? undefined : (JSON.parse(text) as Session);
}

function setCurrent(session: Session | undefined): void {
  current = session;
  for (const listener of listeners) listener();
}

// Only other tabs receive this event.
window.addEventListener("storage", ({ key }) => {
  if (key === KEY || key === null) setCurrent(read());
});

/** Returns the session, or undefined for a visitor. */
export function getSession(): Session | undefined {
  return current;
}

/** Stores a session, or removes it. */
export function setSession(session: Session | undefined): void {
  if (session === undefined) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, JSON.stringify(session));
  setCurrent(session);
}

/** Removes the session to which an access token belongs; a newer session is unaffected. */
export function endSession(accessToken: string): void {
  if (read()?.access_token === accessToken) setSession(undefined);
}

/** Calls a function after each change of the session, in this tab or another one. Returns a function that ends this. */
export function onSessionChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Renews the session once for all tabs, and returns the new access token. `refresh` returns the new session. */
export async function renewSession(refresh: (session: Session) => Promise<Session | undefined>): Promise<string | undefined> {
  const expired = current;
  if (expired === undefined) return undefined;
  return navigator.locks.request(KEY, async () => {
    const stored = read();
    if (stored?.access_token !== expired.access_token) {
      setCurrent(stored);
      return stored?.access_token;
    }
    const renewed = await refresh(expired);
    if (renewed === undefined) endSession(expired.access_token);
    else if (read()?.access_token === expired.access_token) setSession(renewed);
    return renewed?.access_token;
  });
}

export function useSession(): Session | undefined {
  return useSyncExternalStore(onSessionChange, getSession);
}
