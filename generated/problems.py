"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Stable machine-readable error code."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    TOKEN_REVOKED = "TOKEN_REVOKED"
    REAUTHENTICATION_REQUIRED = "REAUTHENTICATION_REQUIRED"
    CREDENTIALS_INVALID = "CREDENTIALS_INVALID"
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
    BANK_NOT_FOUND = "BANK_NOT_FOUND"
    REFUND_NOT_FOUND = "REFUND_NOT_FOUND"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    AGENT_NOT_FOUND = "AGENT_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
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
    PRODUCT_UNAVAILABLE = "PRODUCT_UNAVAILABLE"
    BANK_UNAVAILABLE = "BANK_UNAVAILABLE"
    PAYMENT_INSUFFICIENT = "PAYMENT_INSUFFICIENT"
    WEBHOOK_ID_REUSED = "WEBHOOK_ID_REUSED"
    PAYMENT_ID_REUSED = "PAYMENT_ID_REUSED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    ACCOUNT_REFUSED = "ACCOUNT_REFUSED"
    TIME_ZONE_UNKNOWN = "TIME_ZONE_UNKNOWN"
    CODE_INVALID = "CODE_INVALID"
    PASSWORD_WRONG = "PASSWORD_WRONG"
    PICTURE_REFUSED = "PICTURE_REFUSED"
    AGENT_KEY_INVALID = "AGENT_KEY_INVALID"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    INTERNAL = "INTERNAL"
    UPSTREAM_ERROR = "UPSTREAM_ERROR"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"


class Problem(NamedTuple):
    """HTTP status, gRPC status code, title and description of a reason."""

    status: int
    grpc: str
    title: str
    description: str


PROBLEMS: dict[Reason, Problem] = {
    Reason.INVALID_REQUEST: Problem(
        400,
        "INVALID_ARGUMENT",
        "Invalid request",
        "A field or a parameter is missing, unknown or out of bounds. `errors` lists each of them.",
    ),
    Reason.UNAUTHENTICATED: Problem(
        401, "UNAUTHENTICATED", "Authentication required", "The token is missing, invalid or expired."
    ),
    Reason.TOKEN_REVOKED: Problem(
        401,
        "UNAUTHENTICATED",
        "Token is revoked",
        "The token was issued before a sign-out, or a change of the password, the role or the account. Refresh the session or sign in again.",
    ),
    Reason.REAUTHENTICATION_REQUIRED: Problem(
        401,
        "UNAUTHENTICATED",
        "Recent sign-in is required",
        "The session began more than five minutes ago. Sign in again and repeat the request with the new token.",
    ),
    Reason.CREDENTIALS_INVALID: Problem(
        401, "UNAUTHENTICATED", "Wrong e-mail or password", "The response does not reveal which of the two is wrong."
    ),
    Reason.REFRESH_TOKEN_INVALID: Problem(
        401, "UNAUTHENTICATED", "Refresh token is invalid", "The session has ended. Sign in again."
    ),
    Reason.SIGNATURE_INVALID: Problem(
        401,
        "UNAUTHENTICATED",
        "Signature is invalid",
        "The signature is missing, wrong or too old, or the sender is unknown.",
    ),
    Reason.FORBIDDEN: Problem(
        403,
        "PERMISSION_DENIED",
        "Role is not permitted",
        "The token is valid, but its role does not permit this operation.",
    ),
    Reason.NOT_FOUND: Problem(404, "NOT_FOUND", "Path not found", "The path is not part of the contract."),
    Reason.PARTNER_NOT_FOUND: Problem(
        404, "NOT_FOUND", "Partner not found", "No partner has this id, or the partner is not available to customers."
    ),
    Reason.PARTNER_CALL_NOT_FOUND: Problem(
        404, "NOT_FOUND", "Partner call not found", "No call to a partner has this id."
    ),
    Reason.PRODUCT_NOT_FOUND: Problem(404, "NOT_FOUND", "Product not found", "No product has this id."),
    Reason.PICTURE_NOT_FOUND: Problem(
        404, "NOT_FOUND", "Picture not found", "The picture never existed or has been replaced."
    ),
    Reason.AVATAR_NOT_FOUND: Problem(404, "NOT_FOUND", "Avatar not found", "The account has no avatar."),
    Reason.USER_NOT_FOUND: Problem(404, "NOT_FOUND", "User not found", "The account has no profile."),
    Reason.BANK_NOT_FOUND: Problem(404, "NOT_FOUND", "Bank not found", "No bank is registered with this id."),
    Reason.REFUND_NOT_FOUND: Problem(404, "NOT_FOUND", "Refund not found", "No refund has this id."),
    Reason.ORDER_NOT_FOUND: Problem(
        404, "NOT_FOUND", "Order not found", "The order does not exist or belongs to another user."
    ),
    Reason.AGENT_NOT_FOUND: Problem(404, "NOT_FOUND", "Agent not found", "No notification agent has this id."),
    Reason.METHOD_NOT_ALLOWED: Problem(
        405, "UNIMPLEMENTED", "Method not allowed", "The `Allow` header lists the methods of this path."
    ),
    Reason.EMAIL_TAKEN: Problem(
        409, "ALREADY_EXISTS", "E-mail address is already in use", "Sign in, or sign up with another address."
    ),
    Reason.BANK_EXISTS: Problem(409, "ALREADY_EXISTS", "Bank already exists", "Another bank has this id."),
    Reason.ORDER_STATE_CONFLICT: Problem(
        409,
        "ABORTED",
        "Order state conflict",
        "The state of the order does not permit this operation. Read the order again.",
    ),
    Reason.PAYMENT_CONFLICT: Problem(
        409,
        "ABORTED",
        "Order does not accept a payment",
        "The order is already paid, cancelled or expired. The payment is recorded and refunded.",
    ),
    Reason.REFUND_CONFLICT: Problem(
        409, "ABORTED", "Refund state conflict", "The status of the refund does not permit this operation."
    ),
    Reason.PARTNER_CALL_CONFLICT: Problem(
        409, "ABORTED", "Partner call cannot be repeated", "The order of the call has been cancelled."
    ),
    Reason.IDEMPOTENCY_KEY_BUSY: Problem(
        409,
        "ABORTED",
        "First request is in progress",
        "A request with this `Idempotency-Key` has not been answered yet. Try again.",
    ),
    Reason.CHECK_EXPIRED: Problem(410, "FAILED_PRECONDITION", "Order check has expired", "Check the basket again."),
    Reason.PRECONDITION_FAILED: Problem(
        412, "ABORTED", "Precondition failed", "The ETag in `If-Match` is outdated. Read the resource again."
    ),
    Reason.PAYLOAD_TOO_LARGE: Problem(
        413, "RESOURCE_EXHAUSTED", "Request body is too large", "The limit is 64 KiB for JSON and 5 MiB for a picture."
    ),
    Reason.UNSUPPORTED_MEDIA_TYPE: Problem(
        415, "INVALID_ARGUMENT", "Unsupported media type", "`detail` lists the supported media types."
    ),
    Reason.TOTAL_MISMATCH: Problem(
        422,
        "FAILED_PRECONDITION",
        "Total does not match",
        "The prices have changed. `errors` states the current total.",
    ),
    Reason.CURRENCY_MISMATCH: Problem(
        422, "FAILED_PRECONDITION", "Currency does not match", "A basket has one currency, the currency of its prices."
    ),
    Reason.PARTNER_UNAVAILABLE: Problem(
        422,
        "FAILED_PRECONDITION",
        "Partner does not accept orders",
        "The partner is unknown, not verified or disabled.",
    ),
    Reason.PRODUCT_UNAVAILABLE: Problem(
        422, "FAILED_PRECONDITION", "Product is unavailable", "`errors` lists each unavailable product."
    ),
    Reason.BANK_UNAVAILABLE: Problem(
        422, "FAILED_PRECONDITION", "Bank is unavailable", "The bank is not registered or not active."
    ),
    Reason.PAYMENT_INSUFFICIENT: Problem(
        422,
        "FAILED_PRECONDITION",
        "Payment is insufficient",
        "The amount is below the total of the order, or in another currency. The payment is recorded and refunded.",
    ),
    Reason.WEBHOOK_ID_REUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Webhook id was used for another payment",
        "A `webhook-id` belongs to one payment. This payment is recorded and refunded.",
    ),
    Reason.PAYMENT_ID_REUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Payment id was used for another payment",
        "A payment id belongs to one order and amount. The report is recorded, and nothing is refunded.",
    ),
    Reason.IDEMPOTENCY_KEY_REUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Idempotency key was used for another request",
        "An `Idempotency-Key` belongs to one request for 24 hours.",
    ),
    Reason.ACCOUNT_REFUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "Account data is rejected",
        "The identity provider rejects the e-mail address or the password.",
    ),
    Reason.TIME_ZONE_UNKNOWN: Problem(
        422,
        "FAILED_PRECONDITION",
        "Unknown time zone",
        "Valid names are those of the IANA time zone database, for example Europe/Berlin.",
    ),
    Reason.CODE_INVALID: Problem(
        422, "FAILED_PRECONDITION", "Code is invalid", "The code is wrong, used or expired. Request a new one."
    ),
    Reason.PASSWORD_WRONG: Problem(422, "FAILED_PRECONDITION", "Old password is wrong", "Nothing is changed."),
    Reason.PICTURE_REFUSED: Problem(422, "FAILED_PRECONDITION", "Picture is rejected", "`detail` states the reason."),
    Reason.AGENT_KEY_INVALID: Problem(
        422,
        "FAILED_PRECONDITION",
        "Provider key is invalid",
        "Signing in to a provider with this key failed. `errors` names the key.",
    ),
    Reason.TOO_MANY_REQUESTS: Problem(
        429, "RESOURCE_EXHAUSTED", "Too many requests", "Try again after `Retry-After` seconds."
    ),
    Reason.INTERNAL: Problem(
        500, "INTERNAL", "Internal error", "An unexpected error occurred. Include the trace id when you report it."
    ),
    Reason.UPSTREAM_ERROR: Problem(
        502,
        "INTERNAL",
        "Invalid response from an upstream service",
        "Try again. Include the trace id when you report the error.",
    ),
    Reason.UPSTREAM_UNAVAILABLE: Problem(
        503, "UNAVAILABLE", "Service unavailable", "Try again after `Retry-After` seconds."
    ),
    Reason.UPSTREAM_TIMEOUT: Problem(
        504,
        "DEADLINE_EXCEEDED",
        "Upstream timeout",
        "The operation may or may not have been executed. Repeating the request is safe.",
    ),
}
