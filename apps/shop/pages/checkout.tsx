/** Confirmation of a checked order, which leads to the bank's page. */
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useEffect } from "react";

import { delivery, getRetryDelay, queryClient, shouldRetry, unwrap } from "../../shared/api";
import { formatAmount, formatTime } from "../../shared/format";
import { Button, ErrorMessage, Page, QueryView, RequireSession, useAction } from "../../shared/ui";
import { basket, sumItems } from "../basket";
import { m } from "../messages";
import { checkQuery } from "../queries";
import { Amounts } from "./basket";
import { SignInFooter } from "./sign-in";

/** Page to which the bank sends the customer back; it adds the id of the order. */
export const RETURN_URL = `${window.location.origin}${import.meta.env.BASE_URL}return`;

export function CheckoutPage() {
  const { checkId } = useParams({ from: "/checkout/$checkId" });
  return (
    <RequireSession footer={<SignInFooter />}>
      <Page title={m.confirmTitle}>
        <Checkout checkId={checkId} />
      </Page>
    </RequireSession>
  );
}

function Checkout({ checkId }: { checkId: string }) {
  const check = useQuery(checkQuery(checkId));
  // The key is that of the check: a repetition, also after a reload or in another tab, returns the same order.
  const confirm = useAction({
    mutationFn: () =>
      unwrap(
        delivery.POST("/orders", {
          params: { header: { "Idempotency-Key": checkId } },
          body: { check_id: checkId, return_url: RETURN_URL },
        }),
      ),
    retry: shouldRetry,
    retryDelay: getRetryDelay,
    onSuccess: ({ payment }) => {
      basket.set(undefined);
      void queryClient.invalidateQueries({ queryKey: ["orders"] });
      window.location.assign(payment.webcheckout_url);
    },
  });
  const { reset } = confirm;
  useEffect(() => {
    // The browser may show this page again as it was, when the customer comes back from the bank.
    window.addEventListener("pageshow", reset);
    return () => window.removeEventListener("pageshow", reset);
  }, [reset]);
  return (
    <QueryView query={check}>
      {({ partner, items, currency, ...data }) => (
        <>
          <h2>{partner.title}</h2>
          <ul className="list">
            {items.map((item) => (
              <li key={item.product_id} className="card row">
                <span className="grow">
                  {item.quantity} × {item.title}
                </span>
                <strong>{formatAmount(item.price * item.quantity, currency)}</strong>
              </li>
            ))}
          </ul>
          <Amounts
            items={sumItems(items)}
            deliveryFee={data.delivery_fee}
            tip={data.tip_amount}
            total={data.total_amount}
            currency={currency}
          />
          <p className="dim">{m.validUntil(formatTime(data.expires_at))}</p>
          <ErrorMessage error={confirm.error} />
          <div className="buttons">
            <Button kind="primary" isPending={confirm.isPending || confirm.isSuccess} onPress={() => confirm.run()}>
              {m.confirm(formatAmount(data.total_amount, currency))}
            </Button>
            <Link to="/basket">{m.backToBasket}</Link>
          </div>
        </>
      )}
    </QueryView>
  );
}
