import { delivery, type Schemas } from "../../shared/api";
import { formatDateTime } from "../../shared/format";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { OrderLink } from "../ui/links";
import { defineList, ListView, type Query } from "../ui/list";
import type { Column } from "../ui/table";

const columns: Column<Schemas["Notification"]>[] = [
  { title: "created_at", cell: ({ created_at }) => formatDateTime(created_at) },
  { title: "order_id", cell: ({ order_id }) => order_id && <OrderLink id={order_id} /> },
  { title: "user_id", cell: ({ user_id }) => user_id },
  {
    title: "body",
    cell: ({ title, body }) => (
      <>
        <b>{title}</b> {body}
      </>
    ),
    isText: true,
  },
  {
    title: "status",
    cell: ({ status, reason }) => describeStatus(status, reason),
    isText: true,
  },
  {
    title: "attempts",
    cell: ({ attempts }) => (
      <ol>
        {attempts.map(({ at, provider, outcome }) => (
          <li key={at}>
            {formatDateTime(at)} {getLabel(provider)}: {outcome}
          </li>
        ))}
      </ol>
    ),
  },
];

export const notifications = defineList({
  label: messages.notifications,
  operation: "listNotifications",
  load: (query: Query<"listNotifications">) => delivery.GET("/notifications", { params: { query } }),
  columns,
});

export function Notifications() {
  return <ListView {...notifications} />;
}

/** Returns the status, and the reason of a failure; the reason of an expired notification is its status. */
function describeStatus(status: string, reason: string | undefined): string {
  const texts = [status, reason].filter((text) => text !== undefined && text !== status.toUpperCase());
  return texts.map((text) => getLabel(text ?? "")).join(": ");
}
