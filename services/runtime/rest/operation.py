"""ASGI endpoint of one operation, compiled from the OpenAPI document at startup."""

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opentelemetry import trace
from starlette.types import Receive, Scope, Send

from generated import mesh
from generated.problems import Reason
from services.runtime.concurrency.request_limits import RequestLimits
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import PAYLOAD_HEADER, Principal, TokenRevocations, current_token
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rest.parameters import Parameters
from services.runtime.rest.request_body import (
    ACCEPT_PATCH,
    FORM_MEDIA_TYPE,
    MAX_JSON_BYTES,
    MERGE_PATCH_MEDIA_TYPE,
    FormBody,
    HeaderList,
    JsonBody,
    MultipartBody,
    SignedBody,
    read_body,
)
from services.runtime.rest.response_cache import CachesByEvent
from services.runtime.rest.response_validation import ResponseValidator
from services.runtime.rest.responses import (
    SAFE_METHODS,
    ResponseHeaders,
    add_private_headers,
    build_content_headers,
    encode_response,
    send_response,
    wrap_private_send,
)
from services.runtime.rest.server_sent_events import MEDIA_TYPE, get_open_streams, stream_events
from services.runtime.rest.types import Operation, Response, UploadForm
from services.runtime.rpc.deadline import set_deadline_after

_PAYLOAD_HEADER = PAYLOAD_HEADER.encode()
_TIMEOUT_HEADER = b"x-envoy-expected-rq-timeout-ms"
"""Timeout of the operation at the edge, in milliseconds. It bounds the deadline of outgoing calls."""

MAX_WEBHOOK_HEADER_BYTES = 1024

REASONS_EXTENSION = "x-reasons"
"""Extension of an operation of the published document: the reasons of its errors."""


def get_header(headers: HeaderList, name: bytes) -> bytes | None:
    """Return the first header with the name, which is in lower case."""
    for key, value in headers:
        if key == name:
            return value
    return None


def parse_principal(headers: HeaderList) -> Principal:
    """Return the principal that the sidecar has verified, and store its token for outgoing calls.

    Raises ApiError: UNAUTHENTICATED without the sidecar's header. The sidecar rejects such a request itself.
    """
    payload = get_header(headers, _PAYLOAD_HEADER)
    if payload is None:
        raise ApiError(Reason.UNAUTHENTICATED)
    token = (get_header(headers, b"authorization") or b"").removeprefix(b"Bearer ").decode("latin-1")
    current_token.set(token)
    return Principal.from_payload(payload, token)


def parse_signed_request(headers: HeaderList, body: bytes) -> SignedRequest:
    """Return the webhook headers and the raw body, for the service that owns the secret to parse and verify.

    A missing or malformed header is empty, which no signature matches: an invalid body is reported first.
    """

    def get_text(name: bytes) -> str:
        value = get_header(headers, name) or b""
        return value.decode() if len(value) <= MAX_WEBHOOK_HEADER_BYTES and value.isascii() else ""

    return SignedRequest(get_text(b"webhook-id"), get_text(b"webhook-timestamp"), get_text(b"webhook-signature"), body)


class CompiledOperation:
    """ASGI endpoint that parses and validates a request, calls the handler and encodes the response."""

    def __init__(
        self,
        specification: Any,
        handler: Callable[..., Any],
        operation: Operation,
        caches: CachesByEvent,
        *,
        validate_responses: bool,
        token_revocations: TokenRevocations | None = None,
        limits: RequestLimits | None = None,
    ) -> None:
        self._operation_id: str = specification.operation_id
        self._token_revocations = token_revocations
        self._handler = handler
        self._success_status = operation.status
        self._media_type = operation.media_type
        self._parameters = Parameters(specification.parameters, handler)
        schemes = {name for alternative in specification.security or [] for name in alternative}
        self._takes_bearer = "bearer" in schemes
        self._requires_bearer = self._takes_bearer and {} not in specification.security
        self._requires_signature = "webhook" in schemes
        self._takes_forwarded_for = "forwarded_for" in inspect.signature(handler).parameters
        self._takes_principal = "principal" in inspect.signature(handler).parameters
        self._cache = caches[operation.cache_until_event] if operation.cache_until_event else None
        # Admins must see their own writes immediately, before the invalidation event arrives.
        is_admin_write = specification.method.upper() not in SAFE_METHODS and specification.security == [
            {"bearer": ["admin"]}
        ]
        self._caches_to_clear = tuple(caches.values()) if is_admin_write else ()
        self._body: JsonBody | FormBody | SignedBody | MultipartBody | None = None
        if specification.request_body:
            content = specification.request_body["content"]
            media_type, *other_media_types = content
            if set(other_media_types) - {MERGE_PATCH_MEDIA_TYPE}:
                raise TypeError(f"{self._operation_id} has several request media types; only one is supported")
            max_bytes = specification._operation.get("x-max-bytes", MAX_JSON_BYTES)
            if media_type == "multipart/form-data":
                self._body = MultipartBody(content[media_type], handler, max_bytes)
            elif self._requires_signature:
                self._body = SignedBody((media_type, *other_media_types), max_bytes)
            elif media_type == FORM_MEDIA_TYPE:
                self._body = FormBody(content[media_type]["schema"], operation.body, max_bytes)
            else:
                self._body = JsonBody(
                    (media_type, *other_media_types),
                    content[media_type]["schema"],
                    operation.body,
                    max_bytes,
                    required=specification.request_body.get("required", False),
                )
        success_headers = specification.response_definition(str(operation.status)).get("headers", {})
        self._is_patchable = "Accept-Patch" in success_headers
        self._response_validator = None
        if validate_responses:
            reasons = specification._operation.get(REASONS_EXTENSION)
            self._response_validator = ResponseValidator(specification, operation, reasons)
        limits = limits or RequestLimits()
        is_upload = isinstance(self._body, MultipartBody)
        self._byte_budget = limits.upload_bytes if is_upload else None
        self._concurrency_limit = (
            limits.uploads if is_upload else limits.streams if self._media_type == MEDIA_TYPE else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises ApiError: TOO_MANY_REQUESTS, UPSTREAM_UNAVAILABLE beyond the limits of the process.
        """
        try:
            await self._authenticate(scope, receive, send)
        except ApiError as error:
            if self._response_validator is not None:
                self._response_validator.validate_reason(error.reason)
            raise

    async def _authenticate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request with its principal, within the limits of the process."""
        headers: HeaderList = scope["headers"]
        timeout_ms = get_header(headers, _TIMEOUT_HEADER)
        has_deadline = timeout_ms is not None and timeout_ms.isdigit() and self._media_type != MEDIA_TYPE
        set_deadline_after(int(timeout_ms) / 1000 if timeout_ms and has_deadline else None)
        principal = None
        if self._requires_bearer or (self._takes_bearer and get_header(headers, _PAYLOAD_HEADER) is not None):
            principal = parse_principal(headers)
        if principal is not None and self._token_revocations is not None:
            await self._token_revocations.require_valid(principal)
        if self._byte_budget is None and self._concurrency_limit is None:
            await self._handle(scope, receive, send, principal, None)
            return
        with (
            self._hold_place(principal),
            nullcontext() if self._byte_budget is None else self._byte_budget.open() as reservation,
        ):
            reserve = None if reservation is None else reservation.reserve
            await self._handle(scope, receive, send, principal, reserve)

    def _hold_place(self, principal: Principal | None) -> AbstractContextManager[None]:
        if self._concurrency_limit is None or principal is None:
            return nullcontext()
        return self._concurrency_limit.hold(principal.user_id)

    async def _handle(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        principal: Principal | None,
        reserve: Callable[[int], None] | None,
    ) -> None:
        headers: HeaderList = scope["headers"]
        cache_key, generation = (scope["path"], scope["query_string"]), 0
        if self._cache is not None:
            if (cached_body := self._cache.get(cache_key)) is not None:
                cached_headers = build_content_headers(cached_body, self._media_type)
                await self._send_response(send, self._success_status, cached_headers, cached_body)
                return
            generation = self._cache.generation
        arguments: dict[str, Any] = {"principal": principal} if self._takes_principal else {}
        if self._body is not None:
            raw_body = await read_body(receive, self._body.max_bytes, reserve)
            # Read before the parameters are parsed: an unsupported media type is reported before any invalid value.
            body = await self._body.read(headers, raw_body)
            if isinstance(body, UploadForm):
                arguments |= {**body.arguments, "body": body.file}
            else:
                arguments |= (
                    {"webhook": parse_signed_request(headers, raw_body)} if self._requires_signature else {"body": body}
                )
        arguments |= self._parameters.parse(scope["path_params"], scope["query_string"], headers)
        if scope["path_params"] and (span := trace.get_current_span()).is_recording():
            for name in scope["path_params"].keys() & mesh.SPAN_PARAMETERS:
                span.set_attribute(f"{mesh.NAME}.{name}", str(arguments[name]))
        if self._takes_forwarded_for:
            arguments["forwarded_for"] = (get_header(headers, b"x-forwarded-for") or b"").decode("latin-1")
        if self._media_type == MEDIA_TYPE:
            await self._stream_events(arguments, scope, receive, send)
            return
        try:
            result = await self._handler(**arguments)
        finally:
            for cache in self._caches_to_clear:
                cache.clear()
        response = result if isinstance(result, Response) else Response(result)
        if_none_match = get_header(headers, b"if-none-match") if scope["method"] in SAFE_METHODS else None
        status, response_headers, content = encode_response(
            response, self._success_status, if_none_match, self._media_type
        )
        if self._is_patchable:
            response_headers = [*response_headers, (b"accept-patch", ACCEPT_PATCH.encode())]
        if self._response_validator is not None:
            self._response_validator.validate(response, content)
        if self._cache is not None:
            self._cache.put(cache_key, content, generation)
        await self._send_response(send, status, response_headers, content)

    async def _send_response(self, send: Send, status: int, headers: ResponseHeaders, body: bytes) -> None:
        """Send a complete response, which is private if the operation has a caller."""
        await send_response(send, status, add_private_headers(headers) if self._takes_bearer else headers, body)

    async def _stream_events(self, arguments: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> None:
        """Send the handler's events, at most until the token expires or is revoked."""
        principal: Principal | None = arguments.get("principal")
        if self._takes_bearer:
            send = wrap_private_send(send)
        with get_open_streams(scope).track() as shutdown, self._watch_revocation(principal) as revoked:
            await stream_events(
                self._handler(**arguments),
                receive,
                send,
                shutdown=shutdown,
                revoked=revoked,
                max_duration_s=None if principal is None else (principal.expires_at - now()).total_seconds(),
                is_head_request=scope["method"] == "HEAD",
                validate=None if self._response_validator is None else self._response_validator.validate_json,
            )

    def _watch_revocation(self, principal: Principal | None) -> AbstractContextManager[asyncio.Future[None] | None]:
        if principal is None or self._token_revocations is None:
            return nullcontext()
        return self._token_revocations.watch(principal)
