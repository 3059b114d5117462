"""Envoy's own answers as problem documents, from the catalogue of reasons."""

from typing import Any

from codegen.envoy.common import JWT, Config

BY_STATUS = {
    400: "INVALID_REQUEST",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL",
    502: "UPSTREAM_ERROR",
    503: "UPSTREAM_UNAVAILABLE",
    504: "UPSTREAM_TIMEOUT",
}
RETRY_AFTER = {429: "1", 503: "2"}
"""Seconds, for statuses that pass."""

SAMPLED = "%CEL(request.headers['x-request-id'].matches('^[^-]*-[^-]*-[9ab]') ? '01' : '00')%"
"""The trace flags. Envoy packs its sampling decision into the request id; no operator says it."""


def trace_headers() -> list[Config]:
    """Which trace the answer belongs to: as W3C says it, and alone, from where documents of Envoy's own take it."""
    return [set_header("traceresponse", f"00-%TRACE_ID%-%SPAN_ID%-{SAMPLED}"), set_header("x-trace-id", "%TRACE_ID%")]


def set_header(name: str, value: str) -> Config:
    """A response header, in place of one that is there."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


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
    mappers = [
        {
            "filter": _is(status),
            "headers_to_add": [set_header("retry-after", RETRY_AFTER[status])] if status in RETRY_AFTER else [],
            "body_format_override": document(reason, catalogue, status),
        }
        for status, reason in BY_STATUS.items()
    ]
    return {"mappers": [audience, *mappers], "body_format": document("INTERNAL", catalogue, "%RESPONSE_CODE%")}
