/** List of the customer's orders. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";

import type { Schemas } from "../../shared/api";
import { formatAmount, formatDateTime } from "../../shared/format";
import { shared } from "../../shared/messages";
import { getItems } from "../../shared/paging";
import { MoreButton, Page, RequireSession, SelectField } from "../../shared/ui";
import { m } from "../messages";
import { ordersQuery } from "../queries";
import { SignInFooter } from "./sign-in";

export function OrdersPage() {
  return (
    <RequireSession footer={<SignInFooter />}>
      <Page title={m.orders}>
        <Orders />
      </Page>
    </RequireSession>
  );
}

function Orders() {
  const { status } = useSearch({ from: "/orders" });
  const navigate = useNavigate({ from: "/orders" });
  const query = useInfiniteQuery(ordersQuery(status));
  const orders = getItems(query.data);
  return (
    <>
      <SelectField
        label={m.filter}
        value={status ?? ""}
        options={[["", m.allStatuses], ...Object.entries(shared.statuses)]}
        onChange={({ target }) =>
          void navigate({ search: target.value === "" ? {} : { status: target.value as Schemas["OrderStatus"] } })
        }
      />
      {query.isSuccess && orders.length === 0 && <p role="status">{m.noOrders}</p>}
      <ul className="list">
        {orders.map((order) => (
          <li key={order.id} className="card row">
            <span className="grow">
              <Link to="/orders/$orderId" params={{ orderId: order.id }}>
                {order.partner.title}, {formatDateTime(order.created_at)}
              </Link>
            </span>
            <span>{shared.statuses[order.status] ?? order.status}</span>
            <strong>{formatAmount(order.total_amount, order.currency)}</strong>
          </li>
        ))}
      </ul>
      <MoreButton query={query} />
    </>
  );
}
