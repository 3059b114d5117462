/** Firebase web messaging, which is loaded only if it is configured. */
import { initializeApp } from "@firebase/app";
import { getMessaging, getToken as getMessagingToken } from "@firebase/messaging";

import type { AppConfig } from "./config";
import workerUrl from "./notification-worker?worker&url";

/** Registers the worker that shows notifications, and returns the token of this browser. */
export async function getToken({ vapidKey, ...options }: NonNullable<AppConfig["firebase"]>): Promise<string> {
  const serviceWorkerRegistration = await navigator.serviceWorker.register(workerUrl, { type: "module" });
  return getMessagingToken(getMessaging(initializeApp(options)), { vapidKey, serviceWorkerRegistration });
}
