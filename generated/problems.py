"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Stable machine-readable error code."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    TOKEN_REVOKED = "TOKEN_REVOKED"
    REAUTHENTICATION_REQUIRED = "REAUTHENTICATION_REQUIRED"
    CREDENTIALS_INVALID = "CREDENTIALS_INVALID"
    PROVIDER_TOKEN_INVALID = "PROVIDER_TOKEN_INVALID"
    REFRESH_TOKEN_INVALID = "REFRESH_TOKEN_INVALID"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    PARTNER_NOT_FOUND = "PARTNER_NOT_FOUND"
    PARTNER_CALL_NOT_FOUND = "PARTNER_CALL_NOT_FOUND"
    PRODUCT_NOT_FOUND = "PRODUCT_NOT_FOUND"
    PICTURE_NOT_FOUND = "PICTURE_NOT_FOUND"
    AVATAR_NOT_FOUND = "AVATAR_NOT_FOUND"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    DEVICE_NOT_FOUND = "DEVICE_NOT_FOUND"
    BANK_NOT_FOUND = "BANK_NOT_FOUND"
    REFUND_NOT_FOUND = "REFUND_NOT_FOUND"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    AGENT_NOT_FOUND = "AGENT_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    EMAIL_TAKEN = "EMAIL_TAKEN"
    BANK_EXISTS = "BANK_EXISTS"
    ORDER_STATE_CONFLICT = "ORDER_STATE_CONFLICT"
    PAYMENT_CONFLICT = "PAYMENT_CONFLICT"
    REFUND_CONFLICT = "REFUND_CONFLICT"
    PARTNER_CALL_CONFLICT = "PARTNER_CALL_CONFLICT"
    IDEMPOTENCY_KEY_BUSY = "IDEMPOTENCY_KEY_BUSY"
    CHECK_EXPIRED = "CHECK_EXPIRED"
    PRECONDITION_FAILED = "PRECONDITION_FAILED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    TOTAL_MISMATCH = "TOTAL_MISMATCH"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    PARTNER_UNAVAILABLE = "PARTNER_UNAVAILABLE"
    PARTNER_CLOSED = "PARTNER_CLOSED"
    PRODUCT_UNAVAILABLE = "PRODUCT_UNAVAILABLE"
    BANK_UNAVAILABLE = "BANK_UNAVAILABLE"
    RETURN_URL_NOT_ALLOWED = "RETURN_URL_NOT_ALLOWED"
    PAYMENT_INSUFFICIENT = "PAYMENT_INSUFFICIENT"
    WEBHOOK_ID_REUSED = "WEBHOOK_ID_REUSED"
    PAYMENT_ID_REUSED = "PAYMENT_ID_REUSED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    ACCOUNT_REFUSED = "ACCOUNT_REFUSED"
    BIRTH_DATE_IN_FUTURE = "BIRTH_DATE_IN_FUTURE"
    TIME_ZONE_UNKNOWN = "TIME_ZONE_UNKNOWN"
    PROVIDER_EMAIL_UNVERIFIED = "PROVIDER_EMAIL_UNVERIFIED"
    CODE_INVALID = "CODE_INVALID"
    PASSWORD_COMMON = "PASSWORD_COMMON"
    PASSWORD_WRONG = "PASSWORD_WRONG"
    PICTURE_REFUSED = "PICTURE_REFUSED"
    AGENT_KEY_INVALID = "AGENT_KEY_INVALID"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    INTERNAL = "INTERNAL"
    UPSTREAM_ERROR = "UPSTREAM_ERROR"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"


class Problem(NamedTuple):
    """HTTP status, gRPC status code, title and description of a reason, and detail for users by language.

    `detail_with_values` has placeholders for members of the problem document.
    """

    status: int
    grpc: str
    title: str
    description: str
    detail: Mapping[str, str]
    detail_with_values: Mapping[str, str]


PROBLEMS: dict[Reason, Problem] = {
    Reason.INVALID_REQUEST: Problem(
        400,
        "INVALID_ARGUMENT",
        "Invalid request",
        "A field or a parameter is missing, unknown or out of bounds. `errors` lists each of them.",
        {"en": "Some of the data is missing or invalid.", "de": "Einige Angaben fehlen oder sind ungültig."},
        {},
    ),
    Reason.UNAUTHENTICATED: Problem(
        401,
        "UNAUTHENTICATED",
        "Authentication required",
        "The token is missing, invalid or expired.",
        {"en": "Please sign in.", "de": "Bitte melden Sie sich an."},
        {},
    ),
    Reason.TOKEN_REVOKED: Problem(
        401,
        "UNAUTHENTICATED",
        "Token is revoked",
        "The token was issued before a sign-out, or a change of the password, the role or the account. Refresh the session or sign in again.",
        {
            "en": "Your session has ended. Please sign in again.",
            "de": "Ihre Sitzung ist beendet. Bitte melden Sie sich erneut an.",
        },
        {},
    ),
    Reason.REAUTHENTICATION_REQUIRED: Problem(
        401,
        "UNAUTHENTICATED",
        "Recent sign-in is required",
        "The session began more than five minutes ago. Sign in again and repeat the request with the new token.",
        {
            "en": "For your security, please sign in again.",
            "de": "Bitte melden Sie sich zu Ihrer Sicherheit erneut an.",
        },
        {},
    ),
    Reason.CREDENTIALS_INVALID: Problem(
        401,
        "UNAUTHENTICATED",
        "Wrong e-mail or password",
        "The response does not reveal which of the two is wrong.",
        {
            "en": "The e-mail address or the password is wrong.",
            "de": "Die E-Mail-Adresse oder das Passwort ist falsch.",
        },
        {},
    ),
    Reason.PROVIDER_TOKEN_INVALID: Problem(
        401,
        "UNAUTHENTICATED",
        "Id token of the provider is invalid",
        "The token is malformed, expired or not for this platform, or the account is disabled. Sign in at the provider again.",
        {
            "en": "The sign-in has failed. Please try again.",
            "de": "Die Anmeldung ist fehlgeschlagen. Bitte versuchen Sie es erneut.",
        },
        {},
    ),
    Reason.REFRESH_TOKEN_INVALID: Problem(
        401,
        "UNAUTHENTICATED",
        "Refresh token is invalid",
        "The session has ended. Sign in again.",
        {
            "en": "Your session has ended. Please sign in again.",
            "de": "Ihre Sitzung ist beendet. Bitte melden Sie sich erneut an.",
        },
        {},
    ),
    Reason.SIGNATURE_INVALID: Problem(
        401,
        "UNAUTHENTICATED",
        "Signature is invalid",
        "The signature is missing, wrong or too old, or the sender is unknown.",
        {
            "en": "The signature is missing, wrong or too old, or the sender is unknown.",
            "de": "Die Signatur fehlt, ist falsch oder zu alt, oder der Absender ist unbekannt.",
        },
        {},
    ),
    Reason.FORBIDDEN: Problem(
        403,
        "PERMISSION_DENIED",
        "Role is not permitted",
        "The token is valid, but its role does not permit this operation.",
        {"en": "You do not have permission to do this.", "de": "Sie haben dafür keine Berechtigung."},
        {},
    ),
    Reason.NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Path not found",
        "The path is not part of the contract.",
        {"en": "This address does not exist.", "de": "Diese Adresse gibt es nicht."},
        {},
    ),
    Reason.PARTNER_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Partner not found",
        "No partner has this id, or the partner is not available to customers.",
        {
            "en": "This partner does not exist or is not available.",
            "de": "Diesen Partner gibt es nicht, oder er ist nicht verfügbar.",
        },
        {},
    ),
    Reason.PARTNER_CALL_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Partner call not found",
        "No call to a partner has this id.",
        {"en": "This call to a partner does not exist.", "de": "Diesen Aufruf eines Partners gibt es nicht."},
        {},
    ),
    Reason.PRODUCT_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Product not found",
        "No product has this id.",
        {"en": "This product does not exist.", "de": "Dieses Produkt gibt es nicht."},
        {},
    ),
    Reason.PICTURE_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Picture not found",
        "The picture never existed or has been replaced.",
        {
            "en": "This picture does not exist or has been replaced.",
            "de": "Dieses Bild gibt es nicht, oder es wurde ersetzt.",
        },
        {},
    ),
    Reason.AVATAR_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Avatar not found",
        "The account has no avatar.",
        {"en": "The account has no picture.", "de": "Das Konto hat kein Bild."},
        {},
    ),
    Reason.USER_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "User not found",
        "The account has no profile.",
        {"en": "This account does not exist.", "de": "Dieses Konto gibt es nicht."},
        {},
    ),
    Reason.DEVICE_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Device not found",
        "The caller has no registered device with this id.",
        {"en": "This device is not registered.", "de": "Dieses Gerät ist nicht registriert."},
        {},
    ),
    Reason.BANK_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Bank not found",
        "No bank is registered with this id.",
        {"en": "This bank is not registered.", "de": "Diese Bank ist nicht registriert."},
        {},
    ),
    Reason.REFUND_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Refund not found",
        "No refund has this id.",
        {"en": "This refund does not exist.", "de": "Diese Erstattung gibt es nicht."},
        {},
    ),
    Reason.ORDER_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Order not found",
        "The order does not exist or belongs to another user.",
        {"en": "This order does not exist.", "de": "Diese Bestellung gibt es nicht."},
        {},
    ),
    Reason.AGENT_NOT_FOUND: Problem(
        404,
        "NOT_FOUND",
        "Agent not found",
        "No notification agent has this id.",
        {"en": "This notification agent does not exist.", "de": "Diesen Benachrichtigungsdienst gibt es nicht."},
        {},
    ),
    Reason.METHOD_NOT_ALLOWED: Problem(
        405,
        "UNIMPLEMENTED",
        "Method not allowed",
        "The `Allow` header lists the methods of this path.",
        {"en": "This operation does not exist.", "de": "Diese Funktion gibt es nicht."},
        {},
    ),
    Reason.REQUEST_TIMEOUT: Problem(
        408,
        "DEADLINE_EXCEEDED",
        "Request timeout",
        "The request was not received completely within 30 seconds. Send it again on a new connection.",
        {
            "en": "The request took too long to arrive. Please try again.",
            "de": "Die Übertragung der Anfrage hat zu lange gedauert. Bitte versuchen Sie es noch einmal.",
        },
        {},
    ),
    Reason.EMAIL_TAKEN: Problem(
        409,
        "ALREADY_EXISTS",
        "E-mail address is already in use",
        "Sign in, or sign up with another address.",
        {
            "en": "An account with this e-mail address already exists. Sign in, or use another address.",
            "de": "Es gibt bereits ein Konto mit dieser E-Mail-Adresse. Melden Sie sich an, oder verwenden Sie eine andere Adresse.",
        },
        {},
    ),
    Reason.BANK_EXISTS: Problem(
        409,
        "ALREADY_EXISTS",
        "Bank already exists",
        "Another bank has this id.",
        {"en": "A bank with this id already exists.", "de": "Es gibt bereits eine Bank mit dieser Kennung."},
        {},
    ),
    Reason.ORDER_STATE_CONFLICT: Problem(
        409,
        "ABORTED",
        "Order state conflict",
        "The state of the order does not permit this operation. Read the order again.",
        {
            "en": "The order can no longer be changed in this way.",
            "de": "Die Bestellung lässt sich so nicht mehr ändern.",
        },
        {
            "en": "The order can no longer be changed in this way. Its status is {order_status}.",
            "de": "Die Bestellung lässt sich so nicht mehr ändern. Ihr Status ist {order_status}.",
        },
    ),
    Reason.PAYMENT_CONFLICT: Problem(
        409,
        "ABORTED",
        "Order does not accept a payment",
        "The order is already paid, cancelled or expired, or the payment failed before for another order or amount. The payment is recorded and refunded.",
        {
            "en": "The order does not accept this payment. The payment is refunded.",
            "de": "Die Bestellung nimmt diese Zahlung nicht an. Die Zahlung wird erstattet.",
        },
        {},
    ),
    Reason.REFUND_CONFLICT: Problem(
        409,
        "ABORTED",
        "Refund state conflict",
        "The status of the refund does not permit this operation.",
        {
            "en": "The refund can no longer be changed in this way.",
            "de": "Die Erstattung lässt sich so nicht mehr ändern.",
        },
        {},
    ),
    Reason.PARTNER_CALL_CONFLICT: Problem(
        409,
        "ABORTED",
        "Partner call cannot be repeated",
        "The order of the call has been cancelled.",
        {
            "en": "The call cannot be repeated because its order has been cancelled.",
            "de": "Der Aufruf kann nicht wiederholt werden, weil die Bestellung storniert wurde.",
        },
        {},
    ),
    Reason.IDEMPOTENCY_KEY_BUSY: Problem(
        409,
        "ABORTED",
        "First request is in progress",
        "A request with this `Idempotency-Key` has not been answered yet. Try again.",
        {
            "en": "The first request is still in progress. Please try again in a moment.",
            "de": "Die erste Anfrage wird noch bearbeitet. Bitte versuchen Sie es gleich noch einmal.",
        },
        {},
    ),
    Reason.CHECK_EXPIRED: Problem(
        410,
        "FAILED_PRECONDITION",
        "Order check has expired",
        "Check the basket again.",
        {
            "en": "The prices were reserved for ten minutes. Please check your basket again.",
            "de": "Die Preise galten zehn Minuten. Bitte prüfen Sie Ihren Warenkorb erneut.",
        },
        {},
    ),
    Reason.PRECONDITION_FAILED: Problem(
        412,
        "ABORTED",
        "Precondition failed",
        "The ETag in `If-Match` is outdated. Read the resource again.",
        {
            "en": "Someone has changed this in the meantime. Please load it again.",
            "de": "Die Daten wurden inzwischen geändert. Bitte laden Sie sie erneut.",
        },
        {},
    ),
    Reason.PAYLOAD_TOO_LARGE: Problem(
        413,
        "RESOURCE_EXHAUSTED",
        "Request body is too large",
        "The limit is 64 KiB for JSON and 5 MiB for a picture.",
        {"en": "The request is too large.", "de": "Die Anfrage ist zu groß."},
        {
            "en": "The request is too large. The limit is {max_bytes}.",
            "de": "Die Anfrage ist zu groß. Die Grenze ist {max_bytes}.",
        },
    ),
    Reason.UNSUPPORTED_MEDIA_TYPE: Problem(
        415,
        "INVALID_ARGUMENT",
        "Unsupported media type",
        "The media type is not one of those in the `Accept` header, or the file has another format.",
        {
            "en": "This type of file or data is not supported.",
            "de": "Diese Art von Datei oder Daten wird nicht unterstützt.",
        },
        {},
    ),
    Reason.TOTAL_MISMATCH: Problem(
        422,
        "FAILED_PRECONDITION",
        "Total does not match",
        "The prices have changed. `total_amount` states the current total.",
        {
            "en": "The prices have changed. Please check the total.",
            "de": "Die Preise haben sich geändert. Bitte prüfen Sie die Summe.",
        },
        {
            "en": "At the partner's current prices, the total is {total_amount}.",
            "de": "Zu den aktuellen Preisen des Partners beträgt die Summe {total_amount}.",
        },
    ),
    Reason.CURRENCY_MISMATCH: Problem(
        422,
        "FAILED_PRECONDITION",
        "Currency does not match",
        "A basket has one currency, the currency of its prices.",
        {
            "en": "The products are sold in another currency.",
            "de": "Die Produkte werden in einer anderen Währung verkauft.",
        },
        {"en": "The products are sold in {currency}.", "de": "Die Produkte werden in {currency} verkauft."},
    ),
    Reason.PARTNER_UNAVAILABLE: Problem(
        422,
        "FAILED_PRECONDITION",
        "Partner does not accept orders",
        "The partner is unknown, not verified or disabled.",
        {
            "en": "This partner does not accept orders at the moment.",
            "de": "Dieser Partner nimmt zurzeit keine Bestellungen an.",
        },
        {},
    ),
    Reason.PARTNER_CLOSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Partner is closed",
        "The time is outside the opening hours of the partner. `opens_at` states the next opening.",
        {"en": "This partner is closed at the moment.", "de": "Dieser Partner hat zurzeit geschlossen."},
        {
            "en": "This partner is closed at the moment. It opens on {opens_at}.",
            "de": "Dieser Partner hat zurzeit geschlossen. Er öffnet am {opens_at}.",
        },
    ),
    Reason.PRODUCT_UNAVAILABLE: Problem(
        422,
        "FAILED_PRECONDITION",
        "Product is unavailable",
        "`errors` lists each unavailable product.",
        {"en": "Some of the products are not available.", "de": "Einige der Produkte sind nicht verfügbar."},
        {},
    ),
    Reason.BANK_UNAVAILABLE: Problem(
        422,
        "FAILED_PRECONDITION",
        "Bank is unavailable",
        "The bank is not registered or not active.",
        {
            "en": "Payment by this bank is not possible at the moment.",
            "de": "Die Zahlung über diese Bank ist zurzeit nicht möglich.",
        },
        {},
    ),
    Reason.RETURN_URL_NOT_ALLOWED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Return URL is not allowed",
        "The origin of `return_url` is not registered with the platform, or the URL is invalid.",
        {
            "en": "The app cannot be opened again after the payment. Please contact its support.",
            "de": "Die App kann nach der Zahlung nicht wieder geöffnet werden. Bitte wenden Sie sich an ihren Kundendienst.",
        },
        {},
    ),
    Reason.PAYMENT_INSUFFICIENT: Problem(
        422,
        "FAILED_PRECONDITION",
        "Payment is insufficient",
        "The amount is below the total of the order, or in another currency. The payment is recorded and refunded.",
        {
            "en": "The payment is below the total of the order or in another currency. It is refunded.",
            "de": "Die Zahlung ist niedriger als die Summe der Bestellung oder in einer anderen Währung. Sie wird erstattet.",
        },
        {},
    ),
    Reason.WEBHOOK_ID_REUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Webhook id was used for another callback",
        "A `webhook-id` belongs to one callback. A payment under a used id is recorded and refunded; a report that an order is ready has no effect.",
        {
            "en": "This webhook id was used for another callback. A payment is refunded, another report has no effect.",
            "de": "Diese Webhook-Kennung wurde für eine andere Rückmeldung verwendet. Eine Zahlung wird erstattet, eine andere Meldung hat keine Wirkung.",
        },
        {},
    ),
    Reason.PAYMENT_ID_REUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Payment id was used for another payment",
        "A payment id belongs to one order and amount, and does not fail after it has succeeded. The report is recorded, and nothing is refunded.",
        {
            "en": "This payment id was used for another order, amount or result. Nothing is refunded.",
            "de": "Diese Zahlungskennung wurde für eine andere Bestellung, einen anderen Betrag oder ein anderes Ergebnis verwendet. Es wird nichts erstattet.",
        },
        {},
    ),
    Reason.IDEMPOTENCY_KEY_REUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Idempotency key was used for another request",
        "An `Idempotency-Key` belongs to one request for 24 hours.",
        {
            "en": "This idempotency key was used for another request.",
            "de": "Dieser Idempotenzschlüssel wurde für eine andere Anfrage verwendet.",
        },
        {},
    ),
    Reason.ACCOUNT_REFUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Account data is rejected",
        "The identity provider rejects the e-mail address or the password.",
        {
            "en": "This e-mail address or password cannot be used.",
            "de": "Diese E-Mail-Adresse oder dieses Passwort kann nicht verwendet werden.",
        },
        {},
    ),
    Reason.BIRTH_DATE_IN_FUTURE: Problem(
        422,
        "FAILED_PRECONDITION",
        "Birth date in the future",
        "A birth date is at most the present day in the time zone that is the furthest ahead.",
        {"en": "A birth date cannot be in the future.", "de": "Ein Geburtsdatum kann nicht in der Zukunft liegen."},
        {},
    ),
    Reason.TIME_ZONE_UNKNOWN: Problem(
        422,
        "FAILED_PRECONDITION",
        "Unknown time zone",
        "Valid names are those of the IANA time zone database, for example Europe/Berlin.",
        {
            "en": "This time zone does not exist. Choose one such as Europe/Berlin.",
            "de": "Diese Zeitzone gibt es nicht. Wählen Sie eine wie Europe/Berlin.",
        },
        {},
    ),
    Reason.PROVIDER_EMAIL_UNVERIFIED: Problem(
        422,
        "FAILED_PRECONDITION",
        "E-mail address is not verified by the provider",
        "The id token contains no e-mail address that the provider has verified.",
        {
            "en": "Your e-mail address is not confirmed there. Confirm it, or sign in with a password.",
            "de": "Ihre E-Mail-Adresse ist dort nicht bestätigt. Bestätigen Sie sie, oder melden Sie sich mit einem Passwort an.",
        },
        {},
    ),
    Reason.CODE_INVALID: Problem(
        422,
        "FAILED_PRECONDITION",
        "Code is invalid",
        "The code is wrong, used or expired. Request a new one.",
        {
            "en": "The code is wrong, used or expired. Request a new one.",
            "de": "Der Code ist falsch, verbraucht oder abgelaufen. Fordern Sie einen neuen an.",
        },
        {},
    ),
    Reason.PASSWORD_COMMON: Problem(
        422,
        "FAILED_PRECONDITION",
        "Password is too common",
        "The password is one of the most common ones, which attackers try first.",
        {
            "en": "Many people use this password. Choose another one.",
            "de": "Dieses Passwort verwenden viele. Wählen Sie ein anderes.",
        },
        {},
    ),
    Reason.PASSWORD_WRONG: Problem(
        422,
        "FAILED_PRECONDITION",
        "Old password is wrong",
        "Nothing is changed.",
        {"en": "The old password is wrong.", "de": "Das bisherige Passwort ist falsch."},
        {},
    ),
    Reason.PICTURE_REFUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Picture is rejected",
        "`detail` states the reason.",
        {"en": "This picture cannot be used.", "de": "Dieses Bild kann nicht verwendet werden."},
        {},
    ),
    Reason.AGENT_KEY_INVALID: Problem(
        422,
        "FAILED_PRECONDITION",
        "Provider key is invalid",
        "Signing in to a provider with this key failed. `errors` names the key.",
        {
            "en": "Signing in to the provider with this key failed.",
            "de": "Die Anmeldung beim Anbieter mit diesem Schlüssel ist fehlgeschlagen.",
        },
        {},
    ),
    Reason.TOO_MANY_REQUESTS: Problem(
        429,
        "RESOURCE_EXHAUSTED",
        "Too many requests",
        "Try again after `Retry-After` seconds.",
        {
            "en": "Too many attempts. Please try again later.",
            "de": "Zu viele Versuche. Bitte versuchen Sie es später noch einmal.",
        },
        {},
    ),
    Reason.INTERNAL: Problem(
        500,
        "INTERNAL",
        "Internal error",
        "An unexpected error occurred. Include the trace id when you report it.",
        {
            "en": "Something went wrong. Please try again later.",
            "de": "Etwas ist schiefgegangen. Bitte versuchen Sie es später noch einmal.",
        },
        {},
    ),
    Reason.UPSTREAM_ERROR: Problem(
        502,
        "INTERNAL",
        "Invalid response from an upstream service",
        "Try again. Include the trace id when you report the error.",
        {
            "en": "Something went wrong. Please try again later.",
            "de": "Etwas ist schiefgegangen. Bitte versuchen Sie es später noch einmal.",
        },
        {},
    ),
    Reason.UPSTREAM_UNAVAILABLE: Problem(
        503,
        "UNAVAILABLE",
        "Service unavailable",
        "Try again after `Retry-After` seconds.",
        {
            "en": "The service is unavailable at the moment. Please try again.",
            "de": "Der Dienst ist zurzeit nicht verfügbar. Bitte versuchen Sie es noch einmal.",
        },
        {},
    ),
    Reason.UPSTREAM_TIMEOUT: Problem(
        504,
        "DEADLINE_EXCEEDED",
        "Upstream timeout",
        "The operation may or may not have been executed. Repeating the request is safe.",
        {
            "en": "The response took too long. You can safely try again.",
            "de": "Die Antwort hat zu lange gedauert. Sie können es gefahrlos noch einmal versuchen.",
        },
        {},
    ),
}
