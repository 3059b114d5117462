"""Local replies of Envoy as problem details, from the catalogue of reasons, with `detail` in the client's language."""

import json
from collections.abc import Mapping
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
"""Reasons by the status of a reply. The status of INVALID_REQUEST replaces that of an unsupported method.

Statuses that the contract does not have are replaced by 400 and 500.
"""

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


def _choose_by_status(values: Mapping[int, str], default: str | None = None) -> str:
    """Return a CEL expression of a text by the status of the reply.

    All other statuses have the default, or the last text.
    """
    texts = {status: _format_string(text) for status, text in values.items()}
    otherwise = texts.popitem()[1] if default is None else _format_string(default)
    return "".join(f"response.code == {status} ? {text} : " for status, text in texts.items()) + otherwise


def _format_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("%", r"\x25")


def build_problem_body(reasons: Mapping[int, str], catalogue: dict[str, Any]) -> Config:
    """Return the body format of the reasons of statuses.

    The language of `detail` is that of the header Content-Language of the reply, which Envoy adds before.
    """
    problems = {status: catalogue[reason] for status, reason in reasons.items()}
    german, english = (
        _choose_by_status({status: problem["detail"][language] for status, problem in problems.items()})
        for language in ("de", "en")
    )
    titles = _choose_by_status({status: problem["title"] for status, problem in problems.items()})
    names = _choose_by_status(reasons)
    fields = {
        "type": f"/problems/%CEL({names})%",
        "title": f"%CEL({titles})%",
        "status": "%RESPONSE_CODE%",
        "detail": f"%CEL({_IS_GERMAN} ? ({german}) : ({english}))%",
        "reason": f"%CEL({names})%",
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
    """Return the mappers of local replies: one for all statuses of the contract, and one for each replaced status.

    Each mapper takes memory for the negotiation of the language. A 403 is sent by RBAC, by jwt_authn for a token with
    another audience, which is a 401 in the contract, and by the HTTP codec for invalid requests, for example for an
    absolute `https://` URI without TLS.
    """
    audience = _build_mapper(_build_403_filter("jwt_authn"), {401: "UNAUTHENTICATED"}, catalogue)
    audience["headers_to_add"].append(set_header("www-authenticate", 'Bearer error="invalid_token"'))
    unchanged = {status: reason for status, reason in REASON_BY_STATUS.items() if catalogue[reason]["status"] == status}
    filters = [
        _build_403_filter("rbac") if status == 403 else _build_status_filter(status) for status in sorted(unchanged)
    ]
    invalid = [_build_status_filter(status) for status in REASON_BY_STATUS.keys() - unchanged.keys()]
    invalid.append({"and_filter": {"filters": [_build_status_filter(400, "GE"), _build_status_filter(499, "LE")]}})
    return {
        "mappers": [
            audience,
            _build_mapper({"or_filter": {"filters": filters}}, unchanged, catalogue),
            _build_mapper({"or_filter": {"filters": invalid}}, {400: "INVALID_REQUEST"}, catalogue),
            _build_mapper(_build_status_filter(500, "GE"), {500: "INTERNAL"}, catalogue),
        ],
        "body_format": build_problem_body({500: "INTERNAL"}, catalogue),
    }


def _build_mapper(reply_filter: Config, reasons: Mapping[int, str], catalogue: dict[str, Any]) -> Config:
    """Return a mapper for replies with the reasons of their statuses. The status of a single reason replaces theirs."""
    retry = {status: RETRY_AFTER_S[status] for status in reasons if status in RETRY_AFTER_S}
    retry_after = f"%CEL({_choose_by_status(retry, default='')})%"  # an empty header is not added
    mapper: Config = {
        "filter": reply_filter,
        "headers_to_add": [
            *([set_header("retry-after", retry_after, "ADD_IF_ABSENT")] if retry else ()),
            *_build_headers(),
        ],
        "body_format_override": build_problem_body(reasons, catalogue),
    }
    if len(reasons) == 1:
        (mapper["status_code"],) = reasons
    return mapper
