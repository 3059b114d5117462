"""One operation, compiled: everything the contract says of it is worked out before the first request."""

import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from opentelemetry import trace
from starlette.types import Receive, Scope, Send

from generated.problems import Reason
from services.runtime.clock import now
from services.runtime.principal import PAYLOAD_HEADER, Principal, current_token
from services.runtime.refusal import Refusal
from services.runtime.rest.body import JSON_LIMIT, FormBody, JsonBody, read_raw
from services.runtime.rest.parameters import Parameters
from services.runtime.rest.replies import encode
from services.runtime.rest.schema import compile_schema, field_errors
from services.runtime.rest.streams import MEDIA_TYPE, data_schema, ending_of, stream
from services.runtime.rest.types import Operation, Reply
from services.runtime.rpc import current_deadline
from services.runtime.webhooks import SignedRequest

type HeaderList = Sequence[tuple[bytes, bytes]]

_PAYLOAD = PAYLOAD_HEADER.encode()
_TIMEOUT = b"x-envoy-expected-rq-timeout-ms"
"""How long the sidecar waits for us; calls onward get no more than what is left of it."""


def header(headers: HeaderList, name: bytes) -> bytes | None:
    """The first header of that name, in lower case."""
    return next((value for key, value in headers if key == name), None)


def principal(headers: HeaderList) -> Principal:
    """Who asks, as the sidecar has verified it. Refuses UNAUTHENTICATED, which the sidecar does before."""
    payload = header(headers, _PAYLOAD)
    if payload is None:
        raise Refusal(Reason.UNAUTHENTICATED)
    token = (header(headers, b"authorization") or b"").removeprefix(b"Bearer ").decode("latin-1")
    current_token.set(token)
    return Principal.from_payload(payload, token)


def signed(headers: HeaderList, body: bytes) -> SignedRequest:
    """A callback with its headers, for whoever owns the secret. Refuses SIGNATURE_INVALID when there are none."""
    values = [header(headers, name) for name in (b"webhook-id", b"webhook-timestamp", b"webhook-signature")]
    texts = [value.decode("latin-1") for value in values if value and len(value) <= 1024 and value.isascii()]
    if len(texts) != len(values):
        raise Refusal(Reason.SIGNATURE_INVALID)
    return SignedRequest(texts[0], texts[1], texts[2], body)


class CompiledOperation:
    """Parse, validate, call, encode."""

    def __init__(self, spec: Any, call: Callable[..., Any], types: Operation, *, validate_responses: bool) -> None:
        self._id: str = spec.operation_id
        self._call = call
        self._status = types.status
        self._media = types.media_type
        self._parameters = Parameters(spec.parameters, call)
        schemes = {name for alternative in spec.security or [] for name in alternative}
        self._bearer = "bearer" in schemes
        self._webhook = "webhook" in schemes
        self._forwarded = "forwarded_for" in inspect.signature(call).parameters
        self._json: JsonBody | None = None
        self._form: FormBody | None = None
        if len(spec.consumes) > 1 and spec.request_body:
            raise TypeError(f"{self._id} takes several media types; it takes one")
        if spec.request_body:
            (media,) = spec.request_body["content"]
            if media == "multipart/form-data":
                limit = spec._operation.get("x-max-bytes", JSON_LIMIT)
                self._form = FormBody(spec.request_body["content"][media], limit)
            else:
                self._json = JsonBody(media, spec.body_schema(media), types.body)
        self._valid = None
        if validate_responses and self._media in ("application/json", MEDIA_TYPE):
            schema = spec.response_schema(str(types.status), self._media)
            self._valid = compile_schema(data_schema(schema) if self._media == MEDIA_TYPE else schema)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers: HeaderList = scope["headers"]
        trace.get_current_span().update_name(self._id)
        timeout = header(headers, _TIMEOUT)
        bounded = timeout is not None and timeout.isdigit() and self._media != MEDIA_TYPE
        current_deadline.set(time.monotonic() + int(timeout) / 1000 if timeout and bounded else None)
        who = {"principal": principal(headers)} if self._bearer else {}
        raw = await read_raw(receive, JSON_LIMIT) if self._json else b""
        arguments = self._parameters.read(scope["path_params"], scope["query_string"], headers) | who
        if self._json is not None:
            arguments["body"] = self._json.read(headers, raw)
        elif self._form is not None:
            arguments["body"] = await self._form.read(headers, receive)
        if self._forwarded:
            arguments["forwarded_for"] = (header(headers, b"x-forwarded-for") or b"").decode("latin-1")
        if self._webhook:
            arguments["webhook"] = signed(headers, raw)
        if self._media == MEDIA_TYPE:
            await self._stream(arguments, scope, receive, send)
            return
        result = await self._call(**arguments)
        reply = result if isinstance(result, Reply) else Reply(result)
        status, head, body = encode(reply, self._status, header(headers, b"if-none-match"))
        if self._valid is not None and body:
            self._check(body)
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, arguments: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> None:
        """Events, at most for as long as the token is good."""
        asks: Principal | None = arguments.get("principal")
        await stream(
            self._call(**arguments),
            receive,
            send,
            ending=ending_of(scope),
            lasts_s=None if asks is None else (asks.expires_at - now()).total_seconds(),
            head_only=scope["method"] == "HEAD",
            check=self._check if self._valid is not None else None,
        )

    def _check(self, body: bytes) -> None:
        """Raises AssertionError when an answer of ours is not per the contract; only outside production."""
        value = msgspec.json.decode(body)
        if self._valid is not None and not self._valid.is_valid(value):
            raise AssertionError(f"{self._id} answers against the contract: {field_errors(self._valid, value)}")
