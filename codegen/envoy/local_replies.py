"""Local replies of Envoy as problem details, from the catalogue of reasons."""

from typing import Any

from codegen.envoy.common import JWT_FILTER, Config, build_extension

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
"""The contract has no 431; oversized headers are an invalid request."""
RETRY_AFTER_S = {429: "1", 503: "2"}
"""Seconds, for temporary errors."""

SAMPLED_FLAG = "%CEL(request.headers['x-request-id'].matches('^[^-]*-[^-]*-[9ab]') ? '01' : '00')%"
"""Trace flags. Envoy has no command operator for its sampling decision, but encodes it in the request id."""

START_TIME_NS = "%START_TIME(%s%9f)%"
"""Start of the request in nanoseconds: 19 digits, used as a part of a generated trace id."""
START_TIME_SUBSECOND_NS = "%START_TIME(%9f)%"
TRACERESPONSE_FORMAT = f"00-%TRACE_ID%-%SPAN_ID%-{SAMPLED_FLAG}"


def build_trace_response_headers() -> list[Config]:
    """Return the trace headers: W3C `traceresponse`, and the internal `x-trace-id` for the body of local replies."""
    return [set_header("traceresponse", TRACERESPONSE_FORMAT), set_header("x-trace-id", "%TRACE_ID%")]


def build_trace_filter() -> Config:
    """Return the filter that adds a missing `traceresponse` and removes the internal `x-trace-id`.

    It must be the first filter, because CORS responses match no route.
    """
    missing = set_header("traceresponse", TRACERESPONSE_FORMAT, "ADD_IF_ABSENT")
    message_name = "extensions.filters.http.header_mutation.v3.HeaderMutation"
    mutations = {"response_mutations": [{"remove": "x-trace-id"}, {"append": missing}]}
    return build_extension("trace", message_name, mutations=mutations)


def _build_early_rejection_headers() -> list[Config]:
    """Return the headers for requests that are rejected before the filter chain, which have no trace."""
    return [
        set_header("x-request-id", "%UNIQUE_ID%", "ADD_IF_ABSENT"),
        set_header("x-trace-id", f"{'0' * 13}{START_TIME_NS}", "ADD_IF_ABSENT"),
        set_header(
            "traceresponse", f"00-{'0' * 13}{START_TIME_NS}-{'0' * 7}{START_TIME_SUBSECOND_NS}-00", "ADD_IF_ABSENT"
        ),
    ]


def set_header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Config:
    """Return a response header; by default it replaces an existing one."""
    return {"header": {"key": name, "value": value}, "append_action": action}


def build_problem_body(reason: str, catalogue: dict[str, Any], status: int | str) -> Config:
    """Return the body format of a reason."""
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


def _build_status_filter(status: int) -> Config:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"local_reply.{status}"}}
    return {"status_code_filter": {"comparison": comparison}}


def build_local_replies(catalogue: dict[str, Any]) -> Config:
    """Return one mapper per status, and a mapper from 403 of jwt_authn for another audience to the contract's 401."""
    # Matches requests without a verified token: a missing key counts as a match, and a subject is never empty.
    unverified = {
        "matcher": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": JWT_FILTER}, {"key": "sub"}],
            "value": {"string_match": {"exact": ""}},
        },
        "match_if_key_not_found": True,
    }
    audience = {
        "filter": {"and_filter": {"filters": [_build_status_filter(403), {"metadata_filter": unverified}]}},
        "status_code": 401,
        "headers_to_add": [set_header("www-authenticate", 'Bearer error="invalid_token"')],
        "body_format_override": build_problem_body("UNAUTHENTICATED", catalogue, 401),
    }
    mappers = [_build_status_mapper(status, reason, catalogue) for status, reason in REASON_BY_STATUS.items()]
    return {
        "mappers": [audience, *mappers],
        "body_format": build_problem_body("INTERNAL", catalogue, "%RESPONSE_CODE%"),
    }


def _build_status_mapper(status: int, reason: str, catalogue: dict[str, Any]) -> Config:
    response_status = STATUS_OVERRIDES.get(status, status)
    retry = [set_header("retry-after", RETRY_AFTER_S[status])] if status in RETRY_AFTER_S else []
    return {
        "filter": _build_status_filter(status),
        "status_code": response_status,
        "headers_to_add": [*retry, *_build_early_rejection_headers()],
        "body_format_override": build_problem_body(reason, catalogue, response_status),
    }
