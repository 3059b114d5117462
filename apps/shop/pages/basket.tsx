/** Basket: quantities, delivery details, and the check of the order against the present prices. */
import { ProblemError } from "@delivery/client";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { formatAmount } from "../../shared/format";
import { shared } from "../../shared/messages";
import { useSession } from "../../shared/session";
import {
  Button,
  ErrorMessage,
  Form,
  getReason,
  Page,
  SelectField,
  SignInForm,
  TextField,
  useAction,
  type Values,
} from "../../shared/ui";
import { type Basket, basket, type BasketItem, MAX_QUANTITY, setQuantity, sumItems } from "../basket";
import { m } from "../messages";
import { banksQuery, loadAllProducts, partnerQuery, profileQuery } from "../queries";
import { SignInFooter } from "./sign-in";

const TIPS = [0, 100, 200, 500];

export function BasketPage() {
  const stored = basket.use();
  const isSignedIn = useSession() !== undefined;
  if (stored === undefined) {
    return (
      <Page title={m.basket}>
        <p>{m.emptyBasket}</p>
        <Link className="button primary" to="/">
          {m.toCatalog}
        </Link>
      </Page>
    );
  }
  return (
    <Page title={m.basket}>
      <h2>{stored.partner.title}</h2>
      <ul className="list">
        {stored.items.map((item) => (
          <Item key={item.product_id} item={item} currency={stored.currency} />
        ))}
      </ul>
      {isSignedIn ? (
        <OrderForm stored={stored} />
      ) : (
        <>
          <h2>{shared.signIn}</h2>
          <SignInForm />
          <SignInFooter />
        </>
      )}
    </Page>
  );
}

function Item({ item, currency }: { item: BasketItem; currency: string }) {
  const quantities = Array.from({ length: MAX_QUANTITY }, (_, index) => [String(index + 1), String(index + 1)] as const);
  return (
    <li className="card row">
      <span className="grow">{item.title}</span>
      <select
        className="quantity"
        aria-label={m.quantityOf(item.title)}
        value={item.quantity}
        onChange={(event) => setQuantity(item.product_id, Number(event.target.value))}
      >
        {quantities.map(([value, title]) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </select>
      <strong>{formatAmount(item.price * item.quantity, currency)}</strong>
      <Button kind="plain" aria-label={m.removeProduct(item.title)} onPress={() => setQuantity(item.product_id, 0)}>
        {m.remove}
      </Button>
    </li>
  );
}

/** Amounts of the basket, with the tip. */
export function Amounts(props: { items: number; deliveryFee: number; tip: number; total: number; currency: string }) {
  const { currency } = props;
  return (
    <dl className="amounts">
      <dt>{m.subtotal}</dt>
      <dd>{formatAmount(props.items, currency)}</dd>
      {props.deliveryFee > 0 && (
        <>
          <dt>{m.deliveryFee}</dt>
          <dd>{formatAmount(props.deliveryFee, currency)}</dd>
        </>
      )}
      {props.tip > 0 && (
        <>
          <dt>{m.tip}</dt>
          <dd>{formatAmount(props.tip, currency)}</dd>
        </>
      )}
      <dt className="total">{m.total}</dt>
      <dd className="total">{formatAmount(props.total, currency)}</dd>
    </dl>
  );
}

function OrderForm({ stored }: { stored: Basket }) {
  const [tip, setTip] = useState(0);
  const [error, setError] = useState<Error | null>(null);
  const navigate = useNavigate();
  const banks = useQuery(banksQuery);
  const profile = useQuery(profileQuery);
  const items = sumItems(stored.items);
  const total = items + stored.delivery_fee + tip;

  const check = async (values: Values): Promise<Schemas["OrderCheck"]> => {
    const body = toCheckRequest(stored, values, tip, total);
    setError(null);
    try {
      return await unwrap(delivery.POST("/order-checks", { body }));
    } catch (caught) {
      setError(caught as Error);
      throw caught;
    }
  };

  if (profile.isPending) return null;
  const user = profile.data?.user;
  const name = user === undefined ? "" : `${user.first_name} ${user.last_name}`;
  return (
    <>
      <h2>{m.deliveryDetails}</h2>
      <ErrorMessage error={banks.error} onRetry={() => void banks.refetch()} />
      <Form
        action={m.check}
        resetKey={stored}
        onSubmit={check}
        onSuccess={({ check_id }) => void navigate({ to: "/checkout/$checkId", params: { checkId: check_id } })}
      >
        <TextField
          name="delivery_address"
          label={m.address}
          description={m.addressHint}
          autoComplete="street-address"
          maxLength={200}
          isRequired
        />
        <TextField name="customer_name" label={m.yourName} autoComplete="name" defaultValue={name} maxLength={200} />
        <TextField
          name="customer_phone"
          type="tel"
          label={m.phone}
          description={m.phoneHint}
          autoComplete="tel"
          defaultValue={user?.phone ?? ""}
        />
        <TextField name="note" label={m.note} rows={2} maxLength={500} />
        <SelectField
          label={m.tip}
          value={tip}
          onChange={(event) => setTip(Number(event.target.value))}
          options={TIPS.map((amount) => [
            String(amount),
            amount === 0 ? m.noTip : formatAmount(amount, stored.currency),
          ])}
        />
        <SelectField name="bank_id" label={m.bank} required options={(banks.data ?? []).map(({ id, title }) => [id, title])} />
        <Amounts items={items} deliveryFee={stored.delivery_fee} tip={tip} total={total} currency={stored.currency} />
      </Form>
      <BasketRepair error={error} stored={stored} onRepaired={() => setError(null)} />
    </>
  );
}

function toCheckRequest(stored: Basket, values: Values, tip: number, total: number): Schemas["CheckOrderRequest"] {
  const { delivery_address = "", customer_name, customer_phone, note, bank_id = "" } = values;
  return {
    partner_id: stored.partner.id,
    items: stored.items.map(({ product_id, quantity }) => ({ product_id, quantity })),
    total_amount: total,
    currency: stored.currency,
    tip_amount: tip,
    bank_id,
    delivery_address,
    ...(customer_name && { customer_name }),
    ...(customer_phone && { customer_phone }),
    ...(note && { note }),
  };
}

/** After a rejected check: the changed prices and unavailable products, and a button that updates the basket. */
function BasketRepair({ error, stored, onRepaired }: { error: Error | null; stored: Basket; onRepaired: () => void }) {
  const reason = getReason(error);
  const [changes, setChanges] = useState<string[]>([]);
  const update = useAction({
    mutationFn: async () => {
      const [products, partner] = await Promise.all([
        loadAllProducts(stored.partner.id),
        queryClient.fetchQuery({ ...partnerQuery(stored.partner.id), staleTime: 0 }),
      ]);
      return applyPrices(stored, products, partner?.delivery_fee ?? 0);
    },
    onSuccess: ({ updated, texts }) => {
      setChanges(texts);
      basket.set(updated);
      onRepaired();
    },
  });
  const problem = error instanceof ProblemError ? error.problem : undefined;
  const isRepairable = ["TOTAL_MISMATCH", "PRODUCT_UNAVAILABLE", "CURRENCY_MISMATCH"].includes(reason ?? "");
  return (
    <>
      {changes.length > 0 && (
        <div className="message" role="status">
          <p>{m.pricesChanged}</p>
          <ul>
            {changes.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </div>
      )}
      {isRepairable && (
        <Button kind="primary" isPending={update.isPending} onPress={() => update.run()}>
          {problem?.reason === "PRODUCT_UNAVAILABLE" ? m.removeUnavailable : m.useCurrentPrices}
        </Button>
      )}
      <ErrorMessage error={update.error} />
    </>
  );
}

/** Returns the basket with the present prices and without unavailable products, and a text for each change. */
function applyPrices(stored: Basket, products: readonly Schemas["CatalogProduct"][], deliveryFee: number) {
  const byId = new Map(products.map((product) => [product.id, product]));
  const currency = products[0]?.currency ?? stored.currency;
  const texts: string[] = [];
  const items: BasketItem[] = [];
  for (const item of stored.items) {
    const price = byId.get(item.product_id)?.price;
    if (price === undefined) {
      texts.push(`${item.title}: ${m.unavailable}`);
      continue;
    }
    if (price !== item.price || currency !== stored.currency) {
      texts.push(m.priceChange(item.title, formatAmount(item.price, stored.currency), formatAmount(price, currency)));
    }
    items.push({ ...item, price });
  }
  if (deliveryFee !== stored.delivery_fee) {
    const before = formatAmount(stored.delivery_fee, stored.currency);
    texts.push(m.priceChange(m.deliveryFee, before, formatAmount(deliveryFee, currency)));
  }
  const updated = items.length > 0 ? { ...stored, currency, delivery_fee: deliveryFee, items } : undefined;
  return { updated, texts };
}
