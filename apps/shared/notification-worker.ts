/** Service worker that shows the notifications of Firebase Cloud Messaging. */
/// <reference lib="webworker" />

declare const self: ServiceWorkerGlobalScope;

/** Data of a notification; only those about orders have the id of one. */
interface PushData {
  notification_id?: string;
  order_id?: string;
}

/** Payload of a web push message of FCM. */
interface PushPayload {
  notification?: { title?: string; body?: string };
  data?: PushData;
}

self.addEventListener("push", (event) => {
  const { notification, data } = (event.data?.json() ?? {}) as PushPayload;
  // A repeated notification replaces the earlier one.
  const options = { body: notification?.body ?? "", tag: data?.notification_id ?? "", data };
  event.waitUntil(self.registration.showNotification(notification?.title ?? "", options));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { order_id } = (event.notification.data ?? {}) as PushData;
  const path = order_id === undefined ? ".." : `../orders/${encodeURIComponent(order_id)}`;
  event.waitUntil(self.clients.openWindow(new URL(path, self.registration.scope).href));
});

export {};
