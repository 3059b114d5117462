"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why an error came: a stable word to program against."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNAUTHENTICATED = "UNAUTHENTICATED"
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
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    AGENT_NOT_FOUND = "AGENT_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    EMAIL_TAKEN = "EMAIL_TAKEN"
    BANK_EXISTS = "BANK_EXISTS"
    ORDER_STATE_CONFLICT = "ORDER_STATE_CONFLICT"
    PAYMENT_CONFLICT = "PAYMENT_CONFLICT"
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
    """What a reason means: its HTTP status, the gRPC code it travels by, and what its page says."""

    status: int
    grpc: str
    title: str
    description: str


PROBLEMS: dict[Reason, Problem] = {
    Reason.INVALID_REQUEST: Problem(
        400,
        "INVALID_ARGUMENT",
        "Not per the contract",
        "A field or a parameter is missing, unknown or out of bounds. `errors` names each.",
    ),
    Reason.UNAUTHENTICATED: Problem(
        401, "UNAUTHENTICATED", "Sign in first", "There is no token, or it is not valid, or no longer."
    ),
    Reason.CREDENTIALS_INVALID: Problem(
        401, "UNAUTHENTICATED", "Wrong e-mail or password", "Which of the two is not said."
    ),
    Reason.REFRESH_TOKEN_INVALID: Problem(401, "UNAUTHENTICATED", "The session is over", "Sign in again."),
    Reason.SIGNATURE_INVALID: Problem(
        401,
        "UNAUTHENTICATED",
        "The signature does not verify",
        "The signature is missing, wrong or stale, or the sender is unknown.",
    ),
    Reason.FORBIDDEN: Problem(
        403, "PERMISSION_DENIED", "Not for this role", "The token is valid, but its role may not do this."
    ),
    Reason.NOT_FOUND: Problem(404, "NOT_FOUND", "No such thing", "The path is not in the contract."),
    Reason.PARTNER_NOT_FOUND: Problem(
        404, "NOT_FOUND", "No such partner", "No partner has this id, or it is not open to customers."
    ),
    Reason.PARTNER_CALL_NOT_FOUND: Problem(404, "NOT_FOUND", "No such call", "No call to a partner has this id."),
    Reason.PRODUCT_NOT_FOUND: Problem(404, "NOT_FOUND", "No such product", "No product has this id."),
    Reason.PICTURE_NOT_FOUND: Problem(
        404, "NOT_FOUND", "No such picture", "It was never there, or another has taken its place."
    ),
    Reason.AVATAR_NOT_FOUND: Problem(404, "NOT_FOUND", "No avatar", "The account has none."),
    Reason.USER_NOT_FOUND: Problem(404, "NOT_FOUND", "No such user", "The account has no profile here."),
    Reason.BANK_NOT_FOUND: Problem(404, "NOT_FOUND", "No such bank", "No bank of this id is registered."),
    Reason.ORDER_NOT_FOUND: Problem(404, "NOT_FOUND", "No such order", "The order is unknown, or someone else's."),
    Reason.AGENT_NOT_FOUND: Problem(404, "NOT_FOUND", "No such agent", "No agent has this id."),
    Reason.METHOD_NOT_ALLOWED: Problem(
        405, "UNIMPLEMENTED", "Not with this method", "`Allow` names the methods that the path takes."
    ),
    Reason.EMAIL_TAKEN: Problem(
        409, "ALREADY_EXISTS", "The e-mail address is taken", "Sign in, or sign up with another address."
    ),
    Reason.BANK_EXISTS: Problem(409, "ALREADY_EXISTS", "The bank is registered already", "Another bank has this id."),
    Reason.ORDER_STATE_CONFLICT: Problem(
        409, "ABORTED", "Not in this state", "The order is not where this could be done. Read it again."
    ),
    Reason.PAYMENT_CONFLICT: Problem(
        409,
        "ABORTED",
        "The order takes no payment",
        "It is paid already, cancelled or expired. The payment is recorded and goes back.",
    ),
    Reason.PARTNER_CALL_CONFLICT: Problem(
        409, "ABORTED", "The call is not made again", "Its order was cancelled meanwhile."
    ),
    Reason.IDEMPOTENCY_KEY_BUSY: Problem(
        409,
        "ABORTED",
        "The first request is under way",
        "A request with this `Idempotency-Key` has not been answered yet. Try again.",
    ),
    Reason.CHECK_EXPIRED: Problem(410, "FAILED_PRECONDITION", "The check has run out", "Check the basket again."),
    Reason.PRECONDITION_FAILED: Problem(
        412, "ABORTED", "It has changed meanwhile", "Read it again; `If-Match` names a state that is gone."
    ),
    Reason.PAYLOAD_TOO_LARGE: Problem(
        413, "RESOURCE_EXHAUSTED", "The body is too large", "JSON may have 64 KiB, a picture 5 MiB."
    ),
    Reason.UNSUPPORTED_MEDIA_TYPE: Problem(
        415, "INVALID_ARGUMENT", "Another media type is asked for", "`detail` names those that are taken."
    ),
    Reason.TOTAL_MISMATCH: Problem(
        422, "FAILED_PRECONDITION", "The total is another", "The prices have changed. `errors` names the right total."
    ),
    Reason.CURRENCY_MISMATCH: Problem(
        422, "FAILED_PRECONDITION", "The currency is another", "A basket has one currency, the one of its prices."
    ),
    Reason.PARTNER_UNAVAILABLE: Problem(
        422, "FAILED_PRECONDITION", "The partner takes no orders", "It is unknown, not verified or switched off."
    ),
    Reason.PRODUCT_UNAVAILABLE: Problem(
        422, "FAILED_PRECONDITION", "A product is not to be had", "`errors` names each."
    ),
    Reason.BANK_UNAVAILABLE: Problem(
        422, "FAILED_PRECONDITION", "The bank is not to be paid at", "It is not registered or not active."
    ),
    Reason.PAYMENT_INSUFFICIENT: Problem(
        422,
        "FAILED_PRECONDITION",
        "The payment is too small",
        "It is less than the order's total, or in another currency. It is recorded and goes back.",
    ),
    Reason.IDEMPOTENCY_KEY_REUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "The key was used for another request",
        "An `Idempotency-Key` belongs to one request for 24 hours.",
    ),
    Reason.ACCOUNT_REFUSED: Problem(
        422,
        "FAILED_PRECONDITION",
        "The account cannot be so",
        "The identity provider takes no such address or password.",
    ),
    Reason.TIME_ZONE_UNKNOWN: Problem(
        422, "FAILED_PRECONDITION", "No such time zone", "Names are those of IANA, such as Europe/Berlin."
    ),
    Reason.CODE_INVALID: Problem(
        422, "FAILED_PRECONDITION", "The code does not fit", "It is wrong, used or expired. Ask for another."
    ),
    Reason.PASSWORD_WRONG: Problem(422, "FAILED_PRECONDITION", "The old password is another", "Nothing is changed."),
    Reason.PICTURE_REFUSED: Problem(422, "FAILED_PRECONDITION", "The picture cannot be taken", "`detail` says why."),
    Reason.AGENT_KEY_INVALID: Problem(
        422,
        "FAILED_PRECONDITION",
        "The key is no key",
        "A provider could not be signed in to with it. `errors` says which.",
    ),
    Reason.TOO_MANY_REQUESTS: Problem(429, "RESOURCE_EXHAUSTED", "Too often", "Try again after `Retry-After` seconds."),
    Reason.INTERNAL: Problem(
        500, "INTERNAL", "Our mistake", "Something went wrong that should not. Name the trace id when you ask for help."
    ),
    Reason.UPSTREAM_ERROR: Problem(
        502, "INTERNAL", "Something behind us answered nonsense", "Try again; name the trace id when you ask for help."
    ),
    Reason.UPSTREAM_UNAVAILABLE: Problem(
        503, "UNAVAILABLE", "Something we need is away", "Try again after `Retry-After` seconds."
    ),
    Reason.UPSTREAM_TIMEOUT: Problem(
        504,
        "DEADLINE_EXCEEDED",
        "Something we need took too long",
        "It may have been done or not; asking again is safe.",
    ),
}
