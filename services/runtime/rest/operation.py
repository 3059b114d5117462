"""One operation, compiled: everything the contract says of it is worked out before the first request."""

import inspect
import time
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from starlette.types import Receive, Scope, Send

from generated.problems import Reason
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import PAYLOAD_HEADER, Principal, current_token
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rest.parameters import Parameters
from services.runtime.rest.request_body import MAX_JSON_BYTES, HeaderList, JsonBody, MultipartBody, read_body
from services.runtime.rest.response_cache import CachesByEvent
from services.runtime.rest.response_validation import ResponseValidator
from services.runtime.rest.responses import SAFE_METHODS, encode_response, json_headers, send_response
from services.runtime.rest.server_sent_events import MEDIA_TYPE, get_shutdown_event, stream_events
from services.runtime.rest.types import Operation, Response
from services.runtime.rpc.service import current_deadline

_PAYLOAD_HEADER = PAYLOAD_HEADER.encode()
_TIMEOUT_HEADER = b"x-envoy-expected-rq-timeout-ms"
"""How long the sidecar waits for us; calls onward get no more than what is left of it."""


SPAN_PATH_PARAMETERS = frozenset({"order_id", "partner_id", "product_id", "bank_id"})
"""Parameters of the path that spans repeat, so that an order's traces are found. None of them is a person's."""


def get_header(headers: HeaderList, name: bytes) -> bytes | None:
    """The first header of that name, in lower case."""
    return next((value for key, value in headers if key == name), None)


def parse_principal(headers: HeaderList) -> Principal:
    """Who asks, as the sidecar has verified it. Refuses UNAUTHENTICATED, which the sidecar does before."""
    payload = get_header(headers, _PAYLOAD_HEADER)
    if payload is None:
        raise ApiError(Reason.UNAUTHENTICATED)
    token = (get_header(headers, b"authorization") or b"").removeprefix(b"Bearer ").decode("latin-1")
    current_token.set(token)
    return Principal.from_payload(payload, token)


def parse_signed_request(headers: HeaderList, body: bytes) -> SignedRequest:
    """A callback with its headers, for whoever owns the secret. Refuses SIGNATURE_INVALID when there are none."""
    values = [get_header(headers, name) for name in (b"webhook-id", b"webhook-timestamp", b"webhook-signature")]
    texts = [value.decode("latin-1") for value in values if value and len(value) <= 1024 and value.isascii()]
    if len(texts) != len(values):
        raise ApiError(Reason.SIGNATURE_INVALID)
    return SignedRequest(texts[0], texts[1], texts[2], body)


class CompiledOperation:
    """Parse, validate, call, encode."""

    def __init__(
        self,
        specification: Any,
        handler: Callable[..., Any],
        operation: Operation,
        caches: CachesByEvent,
        *,
        validate_responses: bool,
    ) -> None:
        self._operation_id: str = specification.operation_id
        self._handler = handler
        self._route: str = specification.path
        self._success_status = operation.status
        self._media_type = operation.media_type
        self._parameters = Parameters(specification.parameters, handler)
        schemes = {name for alternative in specification.security or [] for name in alternative}
        self._requires_bearer = "bearer" in schemes
        self._requires_signature = "webhook" in schemes
        self._takes_forwarded_for = "forwarded_for" in inspect.signature(handler).parameters
        self._takes_principal = "principal" in inspect.signature(handler).parameters
        self._cache = caches[operation.cache_until_event] if operation.cache_until_event else None
        # What admins change, they see changed at once, and not only when the event has made its round.
        administers = specification.method.upper() not in SAFE_METHODS and specification.security == [
            {"bearer": ["admin"]}
        ]
        self._caches_to_clear = tuple(caches.values()) if administers else ()
        self._body: JsonBody | MultipartBody | None = None
        if len(specification.consumes) > 1 and specification.request_body:
            raise TypeError(f"{self._operation_id} takes several media types; it takes one")
        if specification.request_body:
            (media,) = specification.request_body["content"]
            limit = specification._operation.get("x-max-bytes", MAX_JSON_BYTES)
            if media == "multipart/form-data":
                self._body = MultipartBody(specification.request_body["content"][media], limit)
            else:
                self._body = JsonBody(
                    media,
                    specification.body_schema(media),
                    operation.body,
                    limit,
                    required=specification.request_body.get("required", False),
                )
        self._response_validator = ResponseValidator(specification, operation) if validate_responses else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers: HeaderList = scope["headers"]
        span = trace.get_current_span()
        span.update_name(self._operation_id)
        span.set_attribute("http.route", self._route)
        timeout = get_header(headers, _TIMEOUT_HEADER)
        bounded = timeout is not None and timeout.isdigit() and self._media_type != MEDIA_TYPE
        current_deadline.set(time.monotonic() + int(timeout) / 1000 if timeout and bounded else None)
        asks = parse_principal(headers) if self._requires_bearer else None
        asked, edition = (scope["path"], scope["query_string"]), 0
        if self._cache is not None:
            if (kept := self._cache.get(asked)) is not None:
                await send_response(send, self._success_status, json_headers(kept), kept)
                return
            edition = self._cache.generation
        who = {"principal": asks} if self._takes_principal else {}
        raw, body = b"", {}
        if self._body is not None:
            raw = await read_body(receive, self._body.max_bytes)
            # Before the parameters: its media type is looked at before the shape of anything.
            body = {"body": await self._body.read(headers, raw)}
        arguments = self._parameters.parse(scope["path_params"], scope["query_string"], headers) | who | body
        for name in scope["path_params"].keys() & SPAN_PATH_PARAMETERS:
            span.set_attribute(f"delivery.{name}", str(arguments[name]))
        if self._takes_forwarded_for:
            arguments["forwarded_for"] = (get_header(headers, b"x-forwarded-for") or b"").decode("latin-1")
        if self._requires_signature:
            arguments["webhook"] = parse_signed_request(headers, raw)
        if self._media_type == MEDIA_TYPE:
            await self._stream_events(arguments, scope, receive, send)
            return
        try:
            result = await self._handler(**arguments)
        finally:
            for answers in self._caches_to_clear:
                answers.clear()
        reply = result if isinstance(result, Response) else Response(result)
        if_none_match = get_header(headers, b"if-none-match") if scope["method"] in SAFE_METHODS else None
        status, head, content = encode_response(reply, self._success_status, if_none_match)
        if self._response_validator is not None:
            self._response_validator.validate(reply, content)
        if self._cache is not None:
            self._cache.put(asked, content, edition)
        await send_response(send, status, head, content)

    async def _stream_events(self, arguments: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> None:
        """Events, at most for as long as the token is good."""
        asks: Principal | None = arguments.get("principal")
        await stream_events(
            self._handler(**arguments),
            receive,
            send,
            shutdown=get_shutdown_event(scope),
            max_duration_s=None if asks is None else (asks.expires_at - now()).total_seconds(),
            is_head_request=scope["method"] == "HEAD",
            validate=None if self._response_validator is None else self._response_validator.validate_json,
        )
