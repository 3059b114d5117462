"""Local replies of Envoy as problem details, from the catalogue of reasons, with `detail` in the client's language."""

import json
from typing import Any

from codegen.envoy.common import Config, build_extension
from codegen.envoy.language_negotiation import LANGUAGE_FORMAT
from codegen.envoy.response_headers import build_error_headers, set_header

REASON_BY_STATUS = {
    400: "INVALID_REQUEST",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL",
    501: "INVALID_REQUEST",
    502: "UPSTREAM_ERROR",
    503: "UPSTREAM_UNAVAILABLE",
    504: "UPSTREAM_TIMEOUT",
}
OTHER_STATUSES = ((500, "INTERNAL"), (400, "INVALID_REQUEST"))
"""Lower bounds of the statuses that the contract does not have, with the reason whose status replaces them."""
RETRY_AFTER_S = {429: "1", 503: "2"}
"""Seconds, for temporary errors."""

_IS_GERMAN = "'content-language' in response.headers && response.headers['content-language'] == 'de'"

START_TIME_NS = "%START_TIME(%s%9f)%"
"""Start of the request in nanoseconds: 19 digits, used as a part of a generated trace id."""
START_TIME_SUBSECOND_NS = "%START_TIME(%9f)%"


def _build_headers() -> list[Config]:
    """Return the headers for requests that are rejected before the filter chain, which have no trace."""
    return [
        set_header("x-request-id", "%UNIQUE_ID%", "ADD_IF_ABSENT"),
        set_header("x-trace-id", f"{'0' * 13}{START_TIME_NS}", "ADD_IF_ABSENT"),
        set_header(
            "traceresponse", f"00-{'0' * 13}{START_TIME_NS}-{'0' * 7}{START_TIME_SUBSECOND_NS}-00", "ADD_IF_ABSENT"
        ),
        set_header("content-language", LANGUAGE_FORMAT, "ADD_IF_ABSENT"),
        *build_error_headers(vary="Origin, Accept-Language"),
    ]


def _choose_text(english: str, german: str) -> str:
    """Return a format of one of two texts by the header Content-Language of the reply, which Envoy adds before."""
    texts = (json.dumps(text, ensure_ascii=False).replace("%", r"\x25") for text in (german, english))
    return f"%CEL({_IS_GERMAN} ? {' : '.join(texts)})%"


def build_problem_body(reason: str, catalogue: dict[str, Any], status: int | str) -> Config:
    """Return the body format of a reason."""
    problem = catalogue[reason]
    fields = {
        "type": f"/problems/{reason}",
        "title": problem["title"],
        "status": status,
        "detail": _choose_text(problem["detail"]["en"], problem["detail"]["de"]),
        "reason": reason,
        "trace_id": "%RESP(X-TRACE-ID)%",
    }
    return {"content_type": "application/problem+json", "json_format": fields}


def _build_status_filter(status: int, operator: str = "EQ") -> Config:
    value = {"default_value": status, "runtime_key": f"local_reply.{status}"}
    return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}


def _build_403_filter(filter_name: str) -> Config:
    """Return a filter for the denials of an HTTP filter, which the details of the response name.

    CONNECT matches no route, so RBAC denies it, although it is never valid.
    """
    expression = f"response.code_details.startsWith('{filter_name}') && request.method != 'CONNECT'"
    message_name = "extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    details = {"extension_filter": build_extension("details", message_name, expression=expression)}
    return {"and_filter": {"filters": [_build_status_filter(403), details]}}


def build_local_replies(catalogue: dict[str, Any]) -> Config:
    """Return one mapper per status; statuses that the contract does not have are replaced.

    A 403 is sent by RBAC, by jwt_authn for a token with another audience, which is a 401 in the contract, and by the
    HTTP codec for invalid requests, for example for an absolute `https://` URI without TLS.
    """
    audience = _build_mapper(_build_403_filter("jwt_authn"), "UNAUTHENTICATED", catalogue)
    audience["headers_to_add"].append(set_header("www-authenticate", 'Bearer error="invalid_token"'))
    role = _build_mapper(_build_403_filter("rbac"), "FORBIDDEN", catalogue)
    by_status = [
        _build_mapper(_build_status_filter(status), reason, catalogue, RETRY_AFTER_S.get(status))
        for status, reason in REASON_BY_STATUS.items()
        if status != role["status_code"]
    ]
    others = [_build_mapper(_build_status_filter(bound, "GE"), reason, catalogue) for bound, reason in OTHER_STATUSES]
    return {
        "mappers": [audience, role, *by_status, *others],
        "body_format": build_problem_body("INTERNAL", catalogue, "%RESPONSE_CODE%"),
    }


def _build_mapper(
    reply_filter: Config, reason: str, catalogue: dict[str, Any], retry_after: str | None = None
) -> Config:
    status: int = catalogue[reason]["status"]
    retry = [set_header("retry-after", retry_after, "ADD_IF_ABSENT")] if retry_after else []
    return {
        "filter": reply_filter,
        "status_code": status,
        "headers_to_add": [*retry, *_build_headers()],
        "body_format_override": build_problem_body(reason, catalogue, status),
    }
