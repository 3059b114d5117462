/** Firebase web messaging, which is loaded only if it is configured. */
import { initializeApp } from "@firebase/app";
import { getMessaging, getToken as getMessagingToken } from "@firebase/messaging";

import type { AppConfig } from "./config";
import workerUrl from "./notification-worker?worker&url";

/** Part of the Trusted Types API, which TypeScript does not declare. */
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: () => string }): { createScriptURL: (url: string) => string };
}

/** Returns the worker's URL in the form that the content security policy of the apps requires. */
function getTrustedWorkerUrl(): string {
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes };
  const policy = trustedTypes?.createPolicy("notification-worker", { createScriptURL: () => workerUrl });
  return policy?.createScriptURL("") ?? workerUrl;
}

let workerScriptUrl: string | undefined;

/** Registers the worker that shows notifications, and returns the token of this browser. */
export async function getToken({ vapidKey, ...options }: NonNullable<AppConfig["firebase"]>): Promise<string> {
  workerScriptUrl ??= getTrustedWorkerUrl();
  const serviceWorkerRegistration = await navigator.serviceWorker.register(workerScriptUrl, { type: "module" });
  return getMessagingToken(getMessaging(initializeApp(options)), { vapidKey, serviceWorkerRegistration });
}
