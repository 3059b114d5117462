import { useState } from "react";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { formatAmount, formatDateTime } from "../../shared/format";
import { Button, Dialog, Form } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { OrderLink } from "../ui/links";
import { defineList, ListView, type Query } from "../ui/list";
import { SchemaForm } from "../ui/schema-form";
import type { Column } from "../ui/table";

type Refund = Schemas["Refund"];

const columns: Column<Refund>[] = [
  { title: "created_at", cell: ({ created_at }) => formatDateTime(created_at) },
  { title: "order_id", cell: ({ order_id }) => <OrderLink id={order_id} /> },
  { title: "payment_id", cell: ({ payment_id }) => payment_id },
  { title: "bank_id", cell: ({ bank_id }) => bank_id },
  { title: "status", cell: ({ status }) => getLabel(status) },
  { title: "amount", cell: ({ amount, currency }) => formatAmount(amount, currency), isNumber: true },
  { title: "attempts", cell: ({ attempts }) => attempts, isNumber: true },
  { title: "response", cell: ({ last_response }) => last_response, isText: true },
  { title: "next_attempt", cell: ({ next_attempt_at }) => next_attempt_at && formatDateTime(next_attempt_at) },
  { title: "actions", cell: (refund) => <RefundActions refund={refund} />, isText: true },
];

export const refunds = defineList({
  label: messages.refunds,
  operation: "listRefunds",
  load: (query: Query<"listRefunds">) => delivery.GET("/refunds", { params: { query } }),
  columns,
});

export function Refunds() {
  return <ListView {...refunds} />;
}

/** Actions of people on a refund, and buttons for the next one unless the bank has refunded the amount. */
function RefundActions({ refund }: { refund: Refund }) {
  const [isOpen, setIsOpen] = useState(false);
  const path = { refund_id: refund.id };
  const reload = (): void => {
    setIsOpen(false);
    void queryClient.invalidateQueries({ queryKey: ["listRefunds"] });
  };
  return (
    <>
      {refund.actions.map(({ kind, at, note }) => (
        <p key={at}>
          {getLabel(kind)} {formatDateTime(at)} {note}
        </p>
      ))}
      {refund.status !== "refunded" && <Button onPress={() => setIsOpen(true)}>{messages.edit}</Button>}
      <Dialog title={formatAmount(refund.amount, refund.currency)} isOpen={isOpen} onClose={() => setIsOpen(false)}>
        <Form
          action={messages.retryRefund}
          onSubmit={() => unwrap(delivery.POST("/refunds/{refund_id}/retry", { params: { path } }))}
          onSuccess={reload}
        />
        <p>{messages.settleHint}</p>
        <SchemaForm
          schema="RefundSettlement"
          action={messages.settle}
          onSubmit={(body) => unwrap(delivery.POST("/refunds/{refund_id}/settlement", { params: { path }, body }))}
          onSuccess={reload}
        />
      </Dialog>
    </>
  );
}
