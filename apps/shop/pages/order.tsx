/** An order: live status, position of the courier, payment, cancellation and history. */
import { watchOrder } from "@delivery/client";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { formatAmount, formatDateTime, formatTime } from "../../shared/format";
import { shared } from "../../shared/messages";
import { getItems } from "../../shared/paging";
import {
  Button,
  Dialog,
  ErrorMessage,
  Form,
  MoreButton,
  Page,
  QueryView,
  RequireSession,
  TextField,
  useAction,
} from "../../shared/ui";
import { sumItems } from "../basket";
import { m } from "../messages";
import { historyQuery, orderQuery } from "../queries";
import { Amounts } from "./basket";
import { RETURN_URL } from "./checkout";
import { SignInFooter } from "./sign-in";

const STEPS = ["pending", "paid", "ready", "delivering", "delivered"] as const;

/** Page to which the bank sends the customer; it leads to the page of the order. */
export function ReturnPage() {
  const { order_id } = useSearch({ from: "/return" });
  const navigate = useNavigate();
  useEffect(() => {
    if (order_id === undefined) void navigate({ to: "/orders", replace: true });
    else void navigate({ to: "/orders/$orderId", params: { orderId: order_id }, replace: true });
  }, [navigate, order_id]);
  return <Page title={m.returning} />;
}

export function OrderPage() {
  const { orderId } = useParams({ from: "/orders/$orderId" });
  return (
    <RequireSession footer={<SignInFooter />}>
      <Order key={orderId} orderId={orderId} />
    </RequireSession>
  );
}

interface Watch {
  position?: { at: string; coordinates: Schemas["Coordinates"] };
  error: Error | null;
}

/** Follows the order: reloads it after each change, and returns the latest position of the courier. */
function useWatch(orderId: string): Watch & { restart: () => void } {
  const [attempt, setAttempt] = useState(0);
  const [watch, setWatch] = useState<Watch>({ error: null });
  useEffect(() => {
    const controller = new AbortController();
    const follow = async (): Promise<void> => {
      for await (const { data } of watchOrder(delivery, { order_id: orderId }, { signal: controller.signal })) {
        if (data.deliverer_position !== undefined) {
          setWatch({ position: { at: data.at, coordinates: data.deliverer_position }, error: null });
        } else if (data.status !== queryClient.getQueryData(orderQuery(orderId).queryKey)?.status) {
          await queryClient.invalidateQueries({ queryKey: ["orders"] });
        }
      }
    };
    setWatch({ error: null });
    follow().catch((error: unknown) => setWatch({ error: error as Error }));
    return () => controller.abort();
  }, [orderId, attempt]);
  return { ...watch, restart: () => setAttempt((count) => count + 1) };
}

function Order({ orderId }: { orderId: string }) {
  const order = useQuery(orderQuery(orderId));
  const title = order.data === undefined ? m.orders : m.order(order.data.partner.title);
  return (
    <Page title={title}>
      <QueryView query={order}>{(data) => <OrderDetails order={data} />}</QueryView>
    </Page>
  );
}

function OrderDetails({ order }: { order: Schemas["Order"] }) {
  const { position, error, restart } = useWatch(order.id);
  const isFinal = ["delivered", "cancelled", "expired"].includes(order.status);
  return (
    <div className="columns">
      <section aria-label={m.status}>
        <p className="status" role="status">
          {shared.statuses[order.status] ?? order.status}
        </p>
        <Steps status={order.status} />
        {!isFinal && error === null && <p className="dim">{m.live}</p>}
        <ErrorMessage error={error} onRetry={restart} />
        {order.cancel_reason !== undefined && <p>{order.cancel_reason}</p>}
        {order.refund_status !== "none" && <p className="message">{m.refunds[order.refund_status]}</p>}
        {order.status === "delivering" && position !== undefined && <Position {...position} />}
        <div className="buttons">
          {order.status === "pending" && <PayButton orderId={order.id} />}
          {(order.status === "pending" || order.status === "paid") && <CancelButton orderId={order.id} />}
        </div>
        <History orderId={order.id} />
      </section>
      <section aria-label={m.basket}>
        <ul className="list">
          {order.items.map((item) => (
            <li key={item.product_id} className="card row">
              <span className="grow">
                {item.quantity} × {item.title}
              </span>
              <strong>{formatAmount(item.price * item.quantity, order.currency)}</strong>
            </li>
          ))}
        </ul>
        <Amounts
          items={sumItems(order.items)}
          deliveryFee={order.delivery_fee}
          tip={order.tip_amount}
          total={order.total_amount}
          currency={order.currency}
        />
        <p>{order.delivery_address}</p>
        {order.note !== undefined && <p className="dim">{order.note}</p>}
      </section>
    </div>
  );
}

/** The steps of an order that is neither cancelled nor expired. */
function Steps({ status }: { status: Schemas["OrderStatus"] }) {
  const current = STEPS.findIndex((step) => step === status);
  if (current < 0) return null;
  return (
    <ol className="steps">
      {STEPS.map((step, index) => (
        <li key={step} aria-current={index === current ? "step" : undefined} data-done={index <= current || undefined}>
          {shared.statuses[step]}
        </li>
      ))}
    </ol>
  );
}

function Position({ at, coordinates: { latitude, longitude } }: NonNullable<Watch["position"]>) {
  return (
    <div className="message">
      <p>{m.courierPosition}</p>
      <p className="dim">
        {m.positionAt(formatTime(at))}: {latitude.toFixed(5)}, {longitude.toFixed(5)}
      </p>
      <a href={`geo:${latitude},${longitude}`}>{m.openMap}</a>
    </div>
  );
}

function PayButton({ orderId }: { orderId: string }) {
  const pay = useAction({
    mutationFn: () =>
      unwrap(
        delivery.GET("/orders/{order_id}/payment", {
          params: { path: { order_id: orderId }, query: { return_url: RETURN_URL } },
        }),
      ),
    onSuccess: ({ webcheckout_url }) => window.location.assign(webcheckout_url),
  });
  return (
    <>
      <Button kind="primary" isPending={pay.isPending} onPress={() => pay.run()}>
        {m.pay}
      </Button>
      <ErrorMessage error={pay.error} />
    </>
  );
}

function CancelButton({ orderId }: { orderId: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button onPress={() => setOpen(true)}>{m.cancelOrder}</Button>
      <Dialog title={m.cancelTitle} isOpen={isOpen} onClose={() => setOpen(false)}>
        <Form
          action={m.cancelOrder}
          kind="danger"
          onSubmit={({ reason }) =>
            unwrap(
              delivery.POST("/orders/{order_id}/cancel", {
                params: { path: { order_id: orderId } },
                body: reason === undefined ? {} : { reason },
              }),
            )
          }
          onSuccess={() => {
            setOpen(false);
            void queryClient.invalidateQueries({ queryKey: ["orders"] });
          }}
        >
          <TextField name="reason" label={m.cancelReason} maxLength={500} />
        </Form>
      </Dialog>
    </>
  );
}

function History({ orderId }: { orderId: string }) {
  const query = useInfiniteQuery(historyQuery(orderId));
  return (
    <>
      <h2>{m.history}</h2>
      <ol className="list">
        {getItems(query.data).map(({ status, at }) => (
          <li key={at + status}>
            {formatDateTime(at)}: {shared.statuses[status] ?? status}
          </li>
        ))}
      </ol>
      <MoreButton query={query} />
      <Link to="/orders">{m.orders}</Link>
    </>
  );
}
