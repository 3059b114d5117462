"""Envoy's own answers as problem documents, from the catalogue of reasons."""

from typing import Any

from codegen.envoy.common import JWT, Config, extension

BY_STATUS = {
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
ANSWERED_AS = {431: 400}
"""Headers that do not fit are, to the contract, one more request that is not as agreed."""
RETRY_AFTER = {429: "1", 503: "2"}
"""Seconds, for statuses that pass."""

SAMPLED = "%CEL(request.headers['x-request-id'].matches('^[^-]*-[^-]*-[9ab]') ? '01' : '00')%"
"""The trace flags. Envoy packs its sampling decision into the request id; no operator says it."""


MOMENT = "%START_TIME(%s%9f)%"
"""When the request came, in nanoseconds: 19 digits, and so part of an id."""
SECOND_PART = "%START_TIME(%9f)%"


TRACERESPONSE = f"00-%TRACE_ID%-%SPAN_ID%-{SAMPLED}"


def trace_headers() -> list[Config]:
    """Which trace the answer belongs to: as W3C says it, and alone, from where documents of Envoy's own take it."""
    return [set_header("traceresponse", TRACERESPONSE), set_header("x-trace-id", "%TRACE_ID%")]


def trace_filter() -> Config:
    """The first filter, so that it sees what others answer: CORS answers pass no route. Keeps x-trace-id to ourselves."""
    missing = set_header("traceresponse", TRACERESPONSE, "ADD_IF_ABSENT")
    kind = "extensions.filters.http.header_mutation.v3.HeaderMutation"
    return extension("trace", kind, mutations={"response_mutations": [{"remove": "x-trace-id"}, {"append": missing}]})


def _unread() -> list[Config]:
    """What a request that is refused before it is read would lack: it passes no filter, and has no trace to name."""
    return [
        set_header("x-request-id", "%UNIQUE_ID%", "ADD_IF_ABSENT"),
        set_header("x-trace-id", f"{'0' * 13}{MOMENT}", "ADD_IF_ABSENT"),
        set_header("traceresponse", f"00-{'0' * 13}{MOMENT}-{'0' * 7}{SECOND_PART}-00", "ADD_IF_ABSENT"),
    ]


def set_header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Config:
    """A response header, in place of one that is there unless the action says otherwise."""
    return {"header": {"key": name, "value": value}, "append_action": action}


def document(reason: str, catalogue: dict[str, Any], status: int | str) -> Config:
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


def _is(status: int) -> Config:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"local_reply.{status}"}}
    return {"status_code_filter": {"comparison": comparison}}


def local_replies(catalogue: dict[str, Any]) -> Config:
    """One mapper a status. A token for another audience is 403 to jwt_authn, and 401 to the contract."""
    # Matches where no verified token is known: the key is not found, which counts as a match; a subject is never empty.
    unverified = {
        "matcher": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": JWT}, {"key": "sub"}],
            "value": {"string_match": {"exact": ""}},
        },
        "match_if_key_not_found": True,
    }
    audience = {
        "filter": {"and_filter": {"filters": [_is(403), {"metadata_filter": unverified}]}},
        "status_code": 401,
        "headers_to_add": [set_header("www-authenticate", 'Bearer error="invalid_token"')],
        "body_format_override": document("UNAUTHENTICATED", catalogue, 401),
    }
    mappers = [_mapper(status, reason, catalogue) for status, reason in BY_STATUS.items()]
    return {"mappers": [audience, *mappers], "body_format": document("INTERNAL", catalogue, "%RESPONSE_CODE%")}


def _mapper(status: int, reason: str, catalogue: dict[str, Any]) -> Config:
    answered = ANSWERED_AS.get(status, status)
    retry = [set_header("retry-after", RETRY_AFTER[status])] if status in RETRY_AFTER else []
    return {
        "filter": _is(status),
        "status_code": answered,
        "headers_to_add": [*retry, *_unread()],
        "body_format_override": document(reason, catalogue, answered),
    }
