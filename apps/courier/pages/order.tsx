/** An order that the courier has taken: the way to the customer, and the end of the delivery. */
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { formatAmount, formatTime } from "../../shared/format";
import { shared } from "../../shared/messages";
import { Form, Page, QueryView } from "../../shared/ui";
import { messages } from "../messages";
import { usePositionReports } from "../position";

type Order = Schemas["Order"];

export const orderKey = (id: string) => ["order", id] as const;

export function OrderPage() {
  const { id } = useParams({ from: "/orders/$id" });
  const path = { order_id: id };
  const query = useQuery({
    queryKey: orderKey(id),
    queryFn: () => unwrap(delivery.GET("/orders/{order_id}", { params: { path } })),
  });
  return (
    <Page title={query.data?.delivery_address ?? messages.order}>
      <QueryView query={query}>
        {(order) => (
          <>
            <p>
              <strong>{shared.statuses[order.status]}</strong>
            </p>
            {order.status === "delivering" && <Delivering order={order} />}
            {order.status === "delivered" && (
              <p className="message">{messages.deliveredAt(formatTime(order.updated_at))}</p>
            )}
            <OrderFacts order={order} />
          </>
        )}
      </QueryView>
      <p>
        <Link to="/">{messages.back}</Link>
      </p>
    </Page>
  );
}

function Delivering({ order }: { order: Order }) {
  const position = usePositionReports(order.id);
  const path = { order_id: order.id };
  return (
    <>
      <div className="buttons">
        <a className="button" href={getGeoUrl(order)}>
          {messages.navigate}
        </a>
        {order.customer_phone !== undefined && (
          <a className="button" href={`tel:${order.customer_phone}`}>
            {messages.call}
          </a>
        )}
      </div>
      <p role="status" className={position === "waiting" ? "" : "message"}>
        {position === "shared" && messages.positionShared}
        {position === "denied" && messages.positionDenied}
        {position === "unavailable" && messages.positionUnavailable}
      </p>
      <Form
        action={messages.complete}
        onSubmit={() => unwrap(delivery.POST("/orders/{order_id}/delivery", { params: { path } }))}
        onSuccess={(delivered) => queryClient.setQueryData(orderKey(order.id), delivered)}
      />
    </>
  );
}

function OrderFacts({ order }: { order: Order }) {
  const { address } = order;
  const facts: [string, string | undefined][] = [
    [messages.pickup, [order.partner.title, order.pickup_address].filter(Boolean).join(", ")],
    [messages.address, order.delivery_address],
    [messages.customer, [order.customer_name, address?.unit].filter(Boolean).join(", ")],
    [messages.note, order.note],
    [messages.items, order.items.map(({ quantity, title }) => `${quantity} × ${title}`).join(", ")],
    [messages.tip, order.tip_amount > 0 ? formatAmount(order.tip_amount, order.currency) : undefined],
  ];
  return (
    <dl className="card facts">
      {facts.map(([name, value]) =>
        value ? (
          <div key={name}>
            <dt className="dim">{name}</dt>
            <dd>{value}</dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}

/** Returns the URL of the destination (RFC 5870), which the phone opens with its navigation app. */
function getGeoUrl({ address, delivery_address: text }: Order): string {
  if (address?.coordinates === undefined) return `geo:0,0?q=${encodeURIComponent(text)}`;
  const { latitude, longitude } = address.coordinates;
  return `geo:${latitude},${longitude}?q=${latitude},${longitude}(${encodeURIComponent(text)})`;
}
