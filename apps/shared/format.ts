/** Amounts and times in the user's locale. */
import { LOCALE } from "./language";

const CURRENCY = /^[A-Z]{3}$/;

/** Returns the number of decimals of a currency; that of most currencies for any other text. */
export function getDecimals(currency: string): number {
  if (!CURRENCY.test(currency)) return 2;
  const format = new Intl.NumberFormat(LOCALE, { style: "currency", currency });
  return format.resolvedOptions().maximumFractionDigits ?? 2;
}

/** Formats an amount in minor units. */
export function formatAmount(amount: number, currency: string): string {
  const format = new Intl.NumberFormat(LOCALE, { style: "currency", currency });
  return format.format(amount / 10 ** getDecimals(currency));
}

const dateTime = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });
const time = new Intl.DateTimeFormat(LOCALE, { timeStyle: "short" });

export function formatDateTime(value: string): string {
  return dateTime.format(new Date(value));
}

export function formatTime(value: string): string {
  return time.format(new Date(value));
}
