import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { formatDateTime } from "../../shared/format";
import { Form } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { OrderLink } from "../ui/links";
import { defineList, ListView, type Query } from "../ui/list";
import type { Column } from "../ui/table";

type PartnerCall = Schemas["PartnerCall"];

const columns: Column<PartnerCall>[] = [
  { title: "created_at", cell: ({ created_at }) => formatDateTime(created_at) },
  { title: "partner_id", cell: ({ partner_id }) => partner_id },
  { title: "order_id", cell: ({ order_id }) => <OrderLink id={order_id} /> },
  { title: "kind", cell: ({ kind }) => getLabel(kind) },
  { title: "status", cell: ({ status }) => getLabel(status) },
  { title: "attempts", cell: (call) => <Attempts call={call} /> },
  { title: "next_attempt", cell: ({ next_at }) => next_at && formatDateTime(next_at) },
  { title: "actions", cell: (call) => <Replay call={call} /> },
];

export const partnerCalls = defineList({
  label: messages.partnerCalls,
  operation: "listPartnerCalls",
  load: (query: Query<"listPartnerCalls">) => delivery.GET("/partner-calls", { params: { query } }),
  columns,
});

export function PartnerCalls() {
  return <ListView {...partnerCalls} />;
}

/** The number of attempts; when it is opened, the body and each attempt. */
function Attempts({ call: { attempts, tries, body } }: { call: PartnerCall }) {
  return (
    <details>
      <summary>{attempts}</summary>
      <pre>{body}</pre>
      <ol>
        {tries.map(({ at, answer, took_ms }) => (
          <li key={at}>
            {formatDateTime(at)}: {answer} ({took_ms} ms)
          </li>
        ))}
      </ol>
    </details>
  );
}

function Replay({ call: { id, status } }: { call: PartnerCall }) {
  if (status !== "failed" && status !== "delivered") return null;
  return (
    <Form
      action={messages.replay}
      onSubmit={() => unwrap(delivery.POST("/partner-calls/{call_id}/replay", { params: { path: { call_id: id } } }))}
      onSuccess={() => void queryClient.invalidateQueries({ queryKey: ["listPartnerCalls"] })}
    />
  );
}
