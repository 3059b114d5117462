/** Labels of the properties and values of the contract. */
import type { Schemas } from "../shared/api";
import { LANGUAGE } from "../shared/language";

/** Names of the properties of a type, of its parts and of its items. */
type Names<T> = T extends readonly (infer Item)[]
  ? Names<Item>
  : T extends object
    ? { [Key in keyof T]-?: (Key & string) | Names<T[Key]> }[keyof T]
    : never;

type Body = Schemas[
  | "AgentPatch"
  | "BankPatch"
  | "CreateAgentRequest"
  | "CreateBankRequest"
  | "CreatePartnerRequest"
  | "CreateProductRequest"
  | "OpeningHours"
  | "RefundSettlement"
  | "SetAvailabilityRequest"
  | "SetUserRoleRequest"];

type Value = Schemas[
  | "NotificationStatus"
  | "OrderStatus"
  | "PartnerCallKind"
  | "PartnerCallStatus"
  | "PaymentOutcome"
  | "Provider"
  | "RefundActionKind"
  | "RefundStatus"
  | "Role"
  | "Weekday"];

/** Columns of tables and filters of lists that are not properties of a request. */
type Other =
  | "actions"
  | "actor"
  | "amount"
  | "approved"
  | "at"
  | "attempts"
  | "bank"
  | "body"
  | "created_at"
  | "customer"
  | "disabled"
  | "agent_id"
  | "bank_id"
  | "false"
  | "kind"
  | "next_attempt"
  | "order_id"
  | "outcome"
  | "partner"
  | "partner_id"
  | "payment_id"
  | "picture"
  | "product"
  | "product_id"
  | "q"
  | "quantity"
  | "refund"
  | "response"
  | "status"
  | "system"
  | "total"
  | "true"
  | "user_id";

/** Reasons of notifications that were not delivered; further ones are error codes of providers. */
type FailureReason =
  | "AGENT_DISABLED"
  | "AGENT_UNKNOWN"
  | "INTERNAL_ERROR"
  | "NO_DEVICE"
  | "TEMPLATE_UNKNOWN"
  | "USER_GONE"
  | "USER_UNKNOWN"
  | "VALUE_MISSING";

export type Name = Names<Body> | Value | Other | FailureReason;

const german: Record<Name, string> = {
  AGENT_DISABLED: "Der Absender ist gesperrt",
  AGENT_UNKNOWN: "Den Absender gibt es nicht",
  INTERNAL_ERROR: "Interner Fehler",
  NO_DEVICE: "Kein Gerät ist angemeldet",
  TEMPLATE_UNKNOWN: "Die Vorlage gibt es nicht",
  USER_GONE: "Das Konto ist gelöscht",
  USER_UNKNOWN: "Das Konto gibt es nicht",
  VALUE_MISSING: "Ein Wert der Vorlage fehlt",
  actions: "Aktionen",
  active: "Aktiv",
  actor: "Durch",
  address: "Adresse",
  admin: "Administration",
  agent_id: "Absender",
  amount: "Betrag",
  api_url: "URL des Systems",
  apns: "APNs",
  approved: "Mit Rolle",
  at: "Zeit",
  attempts: "Versuche",
  bank: "Bank",
  bank_id: "Bank",
  body: "Text",
  brand: "Marke",
  cancellation: "Stornierung",
  cancelled: "Storniert",
  category: "Kategorie",
  closes: "Schließt",
  collapse: "Ersetzt frühere Mitteilung",
  conflict: "Konflikt",
  created_at: "Erstellt",
  currency: "Währung",
  customer: "Kunde",
  day: "Tag",
  deliverer: "Kurier",
  delivered: "Zugestellt",
  delivering: "Unterwegs",
  delivery_fee: "Liefergebühr",
  delivery_fee_currency: "Währung der Liefergebühr",
  description: "Beschreibung",
  disabled: "Gesperrt",
  duplicate_id: "Doppelte Id",
  email: "E-Mail",
  enabled: "Freigegeben",
  end: "Ende",
  expired: "Abgelaufen",
  failed: "Fehlgeschlagen",
  false: "Nein",
  fcm: "FCM",
  friday: "Freitag",
  id: "Id",
  insufficient: "Zu wenig",
  key_id: "Schlüssel-Id",
  keys: "Schlüssel",
  kind: "Art",
  monday: "Montag",
  name: "Name",
  next_attempt: "Nächster Versuch",
  none: "Keine",
  note: "Notiz",
  opens: "Öffnet",
  order: "Bestellung",
  order_id: "Bestellung",
  outcome: "Ergebnis",
  overpaid: "Zu viel",
  paid: "Bezahlt",
  partner: "Partner",
  partner_id: "Partner",
  payment_id: "Zahlung",
  pending: "Wartet auf Zahlung",
  periods: "Zeiten",
  phone: "Telefon",
  picture: "Bild",
  picture_url: "URL des Bilds",
  preferences: "Zustellung",
  price: "Preis",
  priority: "Priorität",
  private_key: "Privater Schlüssel",
  product: "Produkt",
  product_id: "Produkt",
  providers: "Dienste",
  q: "Suche",
  quantity: "Menge",
  queued: "Eingereiht",
  quiet_hours: "Ruhezeit",
  ready: "Abholbereit",
  refund: "Erstattung",
  refunded: "Erstattet",
  requested: "Angefordert",
  response: "Antwort",
  retried: "Wiederholt",
  role: "Rolle",
  saturday: "Samstag",
  sent: "Gesendet",
  settled: "Abgeschlossen",
  start: "Beginn",
  status: "Status",
  sunday: "Sonntag",
  system: "System",
  team_id: "Team-Id",
  thursday: "Donnerstag",
  time_zone: "Zeitzone",
  title: "Titel",
  topic: "Topic",
  total: "Summe",
  true: "Ja",
  ttl_s: "Gültigkeit in Sekunden",
  tuesday: "Dienstag",
  unknown_order: "Unbekannte Bestellung",
  user_id: "Konto",
  verified: "Geprüft",
  waiting: "Wartet",
  webcheckout_url: "URL der Bezahlseite",
  wednesday: "Mittwoch",
  withdrawn: "Zurückgezogen",
};

/** English labels that are not the name itself. */
const english: Partial<Record<Name, string>> = {
  AGENT_DISABLED: "The sender is disabled",
  AGENT_UNKNOWN: "The sender does not exist",
  INTERNAL_ERROR: "Internal error",
  NO_DEVICE: "No device is registered",
  TEMPLATE_UNKNOWN: "The template does not exist",
  USER_GONE: "The account is deleted",
  USER_UNKNOWN: "The account does not exist",
  VALUE_MISSING: "A value of the template is missing",
  agent_id: "Sender",
  api_url: "System URL",
  apns: "APNs",
  approved: "With role",
  at: "Time",
  bank_id: "Bank",
  body: "Text",
  collapse: "Replaces earlier notification",
  email: "E-mail",
  false: "No",
  fcm: "FCM",
  order_id: "Order",
  partner_id: "Partner",
  payment_id: "Payment",
  picture_url: "Picture URL",
  product_id: "Product",
  q: "Search",
  true: "Yes",
  ttl_s: "Time to live in seconds",
  user_id: "Account",
  webcheckout_url: "Checkout URL",
};

/** Returns the label of a property or value; a name that this version does not know is its own label. */
export function getLabel(name: string): string {
  const labels: Partial<Record<string, string>> = LANGUAGE === "de" ? german : english;
  const text = name.replaceAll("_", " ");
  return labels[name] ?? text.charAt(0).toUpperCase() + text.slice(1);
}

/** Returns the text of an actor of an order's history, such as `customer:ID`: the label of its kind, and its id. */
export function formatActor(actor: string): string {
  const [kind = "", id] = actor.split(":");
  return [getLabel(kind), id].filter(Boolean).join(" ");
}
