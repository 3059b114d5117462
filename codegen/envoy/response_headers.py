"""Headers that the edge adds to all responses: trace, CORS on errors, caching, and restrictions for browsers."""

from codegen.envoy.common import Config, build_extension

CORS_EXPOSED_HEADERS = (
    "Accept, Accept-Patch, Allow, ETag, Location, Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed, "
    "Deprecation, Sunset, WWW-Authenticate, traceresponse, x-request-id"
)
"""Response headers of the contract and of the edge that scripts of another origin may read."""
CORS_ALLOWED_ORIGINS = "${ALLOWED_ORIGINS}"
"""Regular expression that deploy/render_bootstrap.py builds from the setting."""

SAMPLED_FLAG = "%CEL(request.headers['x-request-id'].matches('^[^-]*-[^-]*-[9ab]') ? '01' : '00')%"
"""Trace flags. Envoy has no command operator for its sampling decision, but encodes it in the request id."""

TRACERESPONSE_FORMAT = f"00-%TRACE_ID%-%SPAN_ID%-{SAMPLED_FLAG}"

RESTRICTIONS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of responses that have none of their own. Only public documents and pictures may be cached by default."""
HSTS = ("strict-transport-security", "max-age=${HSTS_MAX_AGE_S}")

_ORIGIN_IS_ALLOWED = (
    f"'origin' in request.headers && request.headers['origin'].matches(r'^(?:{CORS_ALLOWED_ORIGINS})\\z')"
)
_VARY_LISTS_ORIGIN = r"'vary' in response.headers && response.headers['vary'].matches(r'(?i)\borigin\b')"


def set_header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Config:
    """Return a header to add; by default it replaces an existing one."""
    return {"header": {"key": name, "value": value}, "append_action": action}


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


def build_error_headers(vary: str = "Origin") -> list[Config]:
    """Return the headers of responses that skip filters: those of the CORS filter, and the restrictions.

    A header with an empty value is not added. The CORS filter ignores requests without a forwarding route, and no
    filter processes the responses to requests that are rejected before routing.
    """
    cors = {
        "access-control-allow-origin": f"%CEL({_ORIGIN_IS_ALLOWED} ? request.headers['origin'] : '')%",
        "access-control-expose-headers": f"%CEL({_ORIGIN_IS_ALLOWED} ? '{CORS_EXPOSED_HEADERS}' : '')%",
        "vary": vary,
    }
    return [set_header(name, value, "ADD_IF_ABSENT") for name, value in (cors | RESTRICTIONS).items()]


def build_restrictions_filter(*, is_tls: bool) -> Config:
    """Return the filter that adds `Vary: Origin` and the missing restrictions; over TLS also HSTS (RFC 6797)."""
    vary = set_header("vary", f"%CEL({_VARY_LISTS_ORIGIN} ? '' : 'Origin')%", "APPEND_IF_EXISTS_OR_ADD")
    headers = [vary, *(set_header(name, value, "ADD_IF_ABSENT") for name, value in RESTRICTIONS.items())]
    if is_tls:
        headers.append(set_header(*HSTS))
    message_name = "extensions.filters.http.header_mutation.v3.HeaderMutation"
    mutations = {"response_mutations": [{"append": header} for header in headers]}
    return build_extension("restrictions", message_name, mutations=mutations)
