"""Envoy's own answers as problem documents, from the catalogue of reasons."""

from typing import Any

from codegen.envoy.common import JWT_FILTER, Config, extension

REASON_BY_STATUS = {
    400: "INVALID_REQUEST",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    431: "INVALID_REQUEST",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL",
    502: "UPSTREAM_ERROR",
    503: "UPSTREAM_UNAVAILABLE",
    504: "UPSTREAM_TIMEOUT",
}
STATUS_OVERRIDES = {431: 400}
"""Headers that do not fit are, to the contract, one more request that is not as agreed."""
RETRY_AFTER_S = {429: "1", 503: "2"}
"""Seconds, for statuses that pass."""

SAMPLED_FLAG = "%CEL(request.headers['x-request-id'].matches('^[^-]*-[^-]*-[9ab]') ? '01' : '00')%"
"""The trace flags. Envoy packs its sampling decision into the request id; no operator says it."""


START_TIME_NS = "%START_TIME(%s%9f)%"
"""When the request came, in nanoseconds: 19 digits, and so part of an id."""
START_TIME_SUBSECOND_NS = "%START_TIME(%9f)%"


TRACERESPONSE_FORMAT = f"00-%TRACE_ID%-%SPAN_ID%-{SAMPLED_FLAG}"


def trace_response_headers() -> list[Config]:
    """Which trace the answer belongs to: as W3C says it, and alone, from where documents of Envoy's own take it."""
    return [set_header("traceresponse", TRACERESPONSE_FORMAT), set_header("x-trace-id", "%TRACE_ID%")]


def trace_filter() -> Config:
    """The first filter, so that it sees what others answer: CORS answers pass no route. Keeps x-trace-id to ourselves."""
    missing = set_header("traceresponse", TRACERESPONSE_FORMAT, "ADD_IF_ABSENT")
    kind = "extensions.filters.http.header_mutation.v3.HeaderMutation"
    return extension("trace", kind, mutations={"response_mutations": [{"remove": "x-trace-id"}, {"append": missing}]})


def _early_rejection_headers() -> list[Config]:
    """What a request that is refused before it is read would lack: it passes no filter, and has no trace to name."""
    return [
        set_header("x-request-id", "%UNIQUE_ID%", "ADD_IF_ABSENT"),
        set_header("x-trace-id", f"{'0' * 13}{START_TIME_NS}", "ADD_IF_ABSENT"),
        set_header(
            "traceresponse", f"00-{'0' * 13}{START_TIME_NS}-{'0' * 7}{START_TIME_SUBSECOND_NS}-00", "ADD_IF_ABSENT"
        ),
    ]


def set_header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Config:
    """A response header, in place of one that is there unless the action says otherwise."""
    return {"header": {"key": name, "value": value}, "append_action": action}


def problem_body(reason: str, catalogue: dict[str, Any], status: int | str) -> Config:
    """The body of one reason."""
    problem = catalogue[reason]
    fields = {
        "type": f"/problems/{reason}",
        "title": problem["title"],
        "status": status,
        "detail": problem["description"].replace("%", "%%"),
        "reason": reason,
        "trace_id": "%RESP(X-TRACE-ID)%",
    }
    return {"content_type": "application/problem+json", "json_format": fields}


def _status_filter(status: int) -> Config:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"local_reply.{status}"}}
    return {"status_code_filter": {"comparison": comparison}}


def local_replies(catalogue: dict[str, Any]) -> Config:
    """One mapper a status. A token for another audience is 403 to jwt_authn, and 401 to the contract."""
    # Matches where no verified token is known: the key is not found, which counts as a match; a subject is never empty.
    unverified = {
        "matcher": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": JWT_FILTER}, {"key": "sub"}],
            "value": {"string_match": {"exact": ""}},
        },
        "match_if_key_not_found": True,
    }
    audience = {
        "filter": {"and_filter": {"filters": [_status_filter(403), {"metadata_filter": unverified}]}},
        "status_code": 401,
        "headers_to_add": [set_header("www-authenticate", 'Bearer error="invalid_token"')],
        "body_format_override": problem_body("UNAUTHENTICATED", catalogue, 401),
    }
    mappers = [_status_mapper(status, reason, catalogue) for status, reason in REASON_BY_STATUS.items()]
    return {"mappers": [audience, *mappers], "body_format": problem_body("INTERNAL", catalogue, "%RESPONSE_CODE%")}


def _status_mapper(status: int, reason: str, catalogue: dict[str, Any]) -> Config:
    answered = STATUS_OVERRIDES.get(status, status)
    retry = [set_header("retry-after", RETRY_AFTER_S[status])] if status in RETRY_AFTER_S else []
    return {
        "filter": _status_filter(status),
        "status_code": answered,
        "headers_to_add": [*retry, *_early_rejection_headers()],
        "body_format_override": problem_body(reason, catalogue, answered),
    }
