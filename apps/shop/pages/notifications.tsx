/** The user's notifications. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { formatDateTime } from "../../shared/format";
import { getItems } from "../../shared/paging";
import { MoreButton, Page, RequireSession } from "../../shared/ui";
import { m } from "../messages";
import { notificationsQuery } from "../queries";
import { SignInFooter } from "./sign-in";

export function NotificationsPage() {
  return (
    <RequireSession footer={<SignInFooter />}>
      <Page title={m.notifications}>
        <Notifications />
      </Page>
    </RequireSession>
  );
}

function Notifications() {
  const query = useInfiniteQuery(notificationsQuery);
  const notifications = getItems(query.data);
  return (
    <>
      {query.isSuccess && notifications.length === 0 && <p role="status">{m.noNotifications}</p>}
      <ul className="list">
        {notifications.map(({ id, title, body, order_id, created_at }) => (
          <li key={id} className="card">
            <strong>{title}</strong>
            <p>{body}</p>
            <p className="dim">{formatDateTime(created_at)}</p>
            {order_id !== undefined && (
              <Link to="/orders/$orderId" params={{ orderId: order_id }} aria-label={`${m.toOrder}: ${title}`}>
                {m.toOrder}
              </Link>
            )}
          </li>
        ))}
      </ul>
      <MoreButton query={query} />
    </>
  );
}
