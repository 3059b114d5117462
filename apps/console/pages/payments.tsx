import { delivery, type Schemas } from "../../shared/api";
import { formatAmount, formatDateTime } from "../../shared/format";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { OrderLink } from "../ui/links";
import { defineList, ListView, type Query } from "../ui/list";
import type { Column } from "../ui/table";

const columns: Column<Schemas["Payment"]>[] = [
  { title: "at", cell: ({ at }) => formatDateTime(at) },
  { title: "payment_id", cell: ({ payment_id }) => payment_id },
  { title: "bank_id", cell: ({ bank_id }) => bank_id },
  { title: "order_id", cell: ({ order_id }) => <OrderLink id={order_id} /> },
  { title: "outcome", cell: ({ outcome }) => getLabel(outcome) },
  { title: "amount", cell: ({ amount, currency }) => formatAmount(amount, currency), isNumber: true },
  { title: "refund", cell: ({ refund_amount, currency }) => formatAmount(refund_amount, currency), isNumber: true },
];

export const payments = defineList({
  label: messages.payments,
  operation: "listPayments",
  load: (query: Query<"listPayments">) => delivery.GET("/payments", { params: { query } }),
  columns,
});

export function Payments() {
  return <ListView {...payments} />;
}
