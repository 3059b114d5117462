/** Amounts and times in the user's locale. */
import { LOCALE } from "./language";

/** Formats an amount in minor units. */
export function formatAmount(amount: number, currency: string): string {
  const format = new Intl.NumberFormat(LOCALE, { style: "currency", currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

const dateTime = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });
const time = new Intl.DateTimeFormat(LOCALE, { timeStyle: "short" });

export function formatDateTime(value: string): string {
  return dateTime.format(new Date(value));
}

export function formatTime(value: string): string {
  return time.format(new Date(value));
}
