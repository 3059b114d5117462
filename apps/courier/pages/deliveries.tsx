/** The orders that are ready, and those that the courier has taken. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { formatTime } from "../../shared/format";
import { getItems, listQuery } from "../../shared/paging";
import { Form, MoreButton, Page } from "../../shared/ui";
import { messages } from "../messages";
import { orderKey } from "./order";

/** Time between two requests of the ready orders. */
const REFRESH_INTERVAL_MS = 5_000;

const availableQuery = listQuery(["deliveries"], (query) => unwrap(delivery.GET("/deliveries", { params: { query } })));
const mineQuery = listQuery(["mine"], (page) =>
  unwrap(delivery.GET("/orders", { params: { query: { ...page, status: "delivering" } } })),
);

export function Deliveries() {
  const available = useInfiniteQuery({ ...availableQuery, refetchInterval: REFRESH_INTERVAL_MS });
  const mine = useInfiniteQuery({ ...mineQuery, refetchOnMount: "always" });
  const orders = getItems(available.data);
  return (
    <Page title={messages.mine}>
      {mine.isSuccess && getItems(mine.data).length === 0 && <p className="dim">{messages.noMine}</p>}
      <ul className="list">
        {getItems(mine.data).map((order) => (
          <li key={order.id} className="card">
            <Link to="/orders/$id" params={{ id: order.id }}>
              {order.delivery_address}
            </Link>
            <p className="dim">{order.partner.title}</p>
          </li>
        ))}
      </ul>
      <MoreButton query={mine} />
      <h2>{messages.available}</h2>
      {available.isSuccess && orders.length === 0 && <p className="dim">{messages.noAvailable}</p>}
      <ul className="list" aria-label={messages.available}>
        {orders.map((order) => (
          <li key={order.id} className="card">
            <AvailableOrder order={order} />
          </li>
        ))}
      </ul>
      <MoreButton query={available} />
    </Page>
  );
}

function AvailableOrder({ order }: { order: Schemas["Order"] }) {
  const navigate = useNavigate();
  const path = { order_id: order.id };
  return (
    <>
      <p>
        <strong>{order.partner.title}</strong>, {order.pickup_address}
      </p>
      <p>
        {messages.address}: {order.delivery_address}
      </p>
      <p className="dim">
        {formatTime(order.updated_at)} · {order.id}
      </p>
      <Form
        action={messages.take}
        onSubmit={() => unwrap(delivery.POST("/orders/{order_id}/assignment", { params: { path } }))}
        onSuccess={(taken) => {
          queryClient.setQueryData(orderKey(taken.id), taken);
          void navigate({ to: "/orders/$id", params: { id: taken.id } });
        }}
      />
    </>
  );
}
