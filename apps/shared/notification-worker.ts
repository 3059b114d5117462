/** Service worker that shows the notifications of Firebase Cloud Messaging. */
/// <reference lib="webworker" />

declare const self: ServiceWorkerGlobalScope;

/** Payload of a web push message of FCM. */
interface PushPayload {
  notification?: { title?: string; body?: string };
  data?: Record<string, string>;
}

self.addEventListener("push", (event) => {
  const { notification, data } = (event.data?.json() ?? {}) as PushPayload;
  event.waitUntil(self.registration.showNotification(notification?.title ?? "", { body: notification?.body ?? "", data }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.openWindow(new URL("..", self.registration.scope).href));
});

export {};
