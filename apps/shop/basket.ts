/** The basket of this browser: products of one partner with the prices that the customer has seen. */
import type { Schemas } from "../shared/api";
import { Stored } from "../shared/stored";

export interface BasketItem {
  product_id: number;
  title: string;
  price: number;
  quantity: number;
}

export interface Basket {
  partner: { id: number; title: string };
  currency: string;
  delivery_fee: number;
  items: BasketItem[];
}

export const MAX_QUANTITY = 99;
export const basket = new Stored<Basket>("basket");

/** Returns whether the basket has products of another partner, or in another currency. */
export function isOtherBasket(partner: Schemas["CatalogPartner"], product: Schemas["CatalogProduct"]): boolean {
  const stored = basket.read();
  return stored !== undefined && (stored.partner.id !== partner.id || stored.currency !== product.currency);
}

/** Adds one piece of a product. A basket of another partner is replaced. */
export function addProduct(partner: Schemas["CatalogPartner"], product: Schemas["CatalogProduct"]): void {
  const items = isOtherBasket(partner, product) ? [] : (basket.read()?.items ?? []);
  const existing = items.find((item) => item.product_id === product.id);
  const quantity = Math.min((existing?.quantity ?? 0) + 1, MAX_QUANTITY);
  const item = { product_id: product.id, title: product.title, price: product.price, quantity };
  basket.set({
    partner: { id: partner.id, title: partner.title },
    currency: product.currency,
    delivery_fee: partner.delivery_fee ?? 0,
    items: existing ? items.map((each) => (each === existing ? item : each)) : [...items, item],
  });
}

/** Changes the quantity of a product; zero removes it. */
export function setQuantity(productId: number, quantity: number): void {
  const stored = basket.read();
  if (stored === undefined) return;
  const items = stored.items
    .map((item) => (item.product_id === productId ? { ...item, quantity } : item))
    .filter((item) => item.quantity > 0);
  basket.set(items.length > 0 ? { ...stored, items } : undefined);
}

export function countItems(stored: Basket | undefined): number {
  return stored?.items.reduce((sum, item) => sum + item.quantity, 0) ?? 0;
}

/** Returns the amount of all items in minor units, without delivery fee and tip. */
export function sumItems(items: readonly { price: number; quantity: number }[]): number {
  return items.reduce((sum, item) => sum + item.price * item.quantity, 0);
}
