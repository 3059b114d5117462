/** Orders: the list, and the page of an order with everything that belongs to it. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { useConfig } from "../../shared/config";
import { formatAmount, formatDateTime } from "../../shared/format";
import { Page, QueryView } from "../../shared/ui";
import { formatActor, getLabel } from "../labels";
import { messages } from "../messages";
import { Fact } from "../ui/fact";
import { OpenById, OrderLink } from "../ui/links";
import { List, type ListDefinition, ListView, type OrderListOperation, type Query } from "../ui/list";
import { SchemaForm } from "../ui/schema-form";
import { Table } from "../ui/table";
import { notifications } from "./notifications";
import { partnerCalls } from "./partner-calls";
import { payments } from "./payments";
import { refunds } from "./refunds";

export function Orders() {
  const navigate = useNavigate();
  return (
    <ListView
      label={messages.orders}
      operation="listOrders"
      load={(query) => delivery.GET("/orders", { params: { query } })}
      columns={[
        { title: "order", cell: ({ id }) => <OrderLink id={id} /> },
        { title: "status", cell: ({ status }) => getLabel(status) },
        { title: "partner", cell: ({ partner }) => partner.title },
        { title: "customer", cell: ({ customer_name }) => customer_name },
        { title: "total", cell: ({ total_amount, currency }) => formatAmount(total_amount, currency), isNumber: true },
        { title: "refund", cell: ({ refund_status }) => getLabel(refund_status) },
        { title: "created_at", cell: ({ created_at }) => formatDateTime(created_at) },
      ]}
    >
      <OpenById onOpen={(id) => void navigate({ to: "/orders/$id", params: { id } })} />
    </ListView>
  );
}

export function OrderPage() {
  const { id } = useParams({ from: "/orders/$id" });
  const query = useQuery({
    queryKey: ["order", id],
    queryFn: () => unwrap(delivery.GET("/orders/{order_id}", { params: { path: { order_id: id } } })),
  });
  return (
    <Page title={messages.order(id)}>
      <QueryView query={query}>{(order) => <OrderView order={order} />}</QueryView>
    </Page>
  );
}

function OrderView({ order }: { order: Schemas["Order"] }) {
  const { traces_url } = useConfig();
  const path = { order_id: order.id };
  const money = (amount: number): string => formatAmount(amount, order.currency);
  return (
    <>
      <dl>
        <Fact name="status">{getLabel(order.status)}</Fact>
        <Fact name="partner">{order.partner.title}</Fact>
        <Fact name="customer">{order.customer_name ?? order.customer_id}</Fact>
        <Fact name="phone">{order.customer_phone}</Fact>
        <Fact name="address">{order.delivery_address}</Fact>
        <Fact name="note">{order.note}</Fact>
        <Fact name="deliverer">{order.deliverer_id}</Fact>
        <Fact name="bank_id">{order.bank_id}</Fact>
        <Fact name="total">{money(order.total_amount)}</Fact>
        <Fact name="paid">{money(order.paid_amount)}</Fact>
        <Fact name="refunded">{money(order.refunded_amount)}</Fact>
        <Fact name="cancelled">{order.cancel_reason}</Fact>
      </dl>
      {traces_url !== undefined && (
        <p>
          <a href={traces_url + order.id}>{messages.trace}</a>
        </p>
      )}
      <h2>{messages.items}</h2>
      <Table
        label={messages.items}
        items={order.items}
        columns={[
          { title: "product", cell: ({ title }) => title },
          { title: "quantity", cell: ({ quantity }) => quantity, isNumber: true },
          { title: "price", cell: ({ price }) => money(price), isNumber: true },
        ]}
      />
      <h2>{messages.history}</h2>
      <List
        label={messages.history}
        operation="getOrderHistory"
        scope={order.id}
        load={({ page_token }) =>
          delivery.GET("/orders/{order_id}/history", { params: { path, query: { page_token } } })
        }
        columns={[
          { title: "at", cell: ({ at }) => formatDateTime(at) },
          { title: "status", cell: ({ status }) => getLabel(status) },
          { title: "actor", cell: ({ actor }) => formatActor(actor) },
          { title: "note", cell: ({ note }) => note, isText: true },
        ]}
      />
      <OrderList list={payments} orderId={order.id} />
      <OrderList list={refunds} orderId={order.id} />
      <OrderList list={partnerCalls} orderId={order.id} />
      <OrderList list={notifications} orderId={order.id} />
      {["pending", "paid", "ready"].includes(order.status) && (
        <>
          <h2>{messages.cancelOrder}</h2>
          <SchemaForm
            schema="CancelOrderRequest"
            action={messages.cancelOrder}
            kind="danger"
            onSubmit={(body) => unwrap(delivery.POST("/orders/{order_id}/cancel", { params: { path }, body }))}
            onSuccess={() => void queryClient.invalidateQueries()}
          />
        </>
      )}
    </>
  );
}

/** The part of a list that belongs to an order. */
function OrderList<O extends OrderListOperation, T>({ list, orderId }: { list: ListDefinition<O, T>; orderId: string }) {
  const columns = list.columns.filter(({ title }) => title !== "order_id");
  return (
    <>
      <h2>{list.label}</h2>
      <List {...list} columns={columns} query={{ order_id: orderId } as Query<O>} />
    </>
  );
}
