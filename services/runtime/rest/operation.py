"""One operation, compiled: everything the contract says of it is worked out before the first request."""

import inspect
import time
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from starlette.types import Receive, Scope, Send

from generated.problems import Reason
from services.runtime.clock import now
from services.runtime.principal import PAYLOAD_HEADER, Principal, current_token
from services.runtime.refusal import Refusal
from services.runtime.rest.body import JSON_LIMIT, FormBody, HeaderList, JsonBody, read_raw
from services.runtime.rest.kept import KeptUntil
from services.runtime.rest.parameters import Parameters
from services.runtime.rest.promise import Promise
from services.runtime.rest.replies import SAFE, encode, json_head, respond
from services.runtime.rest.streams import MEDIA_TYPE, ending_of, stream
from services.runtime.rest.types import Operation, Reply
from services.runtime.rpc import current_deadline
from services.runtime.webhooks import SignedRequest

_PAYLOAD = PAYLOAD_HEADER.encode()
_TIMEOUT = b"x-envoy-expected-rq-timeout-ms"
"""How long the sidecar waits for us; calls onward get no more than what is left of it."""


NAMED = frozenset({"order_id", "partner_id", "product_id", "bank_id"})
"""Parameters of the path that spans repeat, so that an order's traces are found. None of them is a person's."""


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

    def __init__(
        self, spec: Any, call: Callable[..., Any], types: Operation, kept: KeptUntil, *, validate_responses: bool
    ) -> None:
        self._id: str = spec.operation_id
        self._call = call
        self._route: str = spec.path
        self._status = types.status
        self._media = types.media_type
        self._parameters = Parameters(spec.parameters, call)
        schemes = {name for alternative in spec.security or [] for name in alternative}
        self._bearer = "bearer" in schemes
        self._webhook = "webhook" in schemes
        self._forwarded = "forwarded_for" in inspect.signature(call).parameters
        self._told = "principal" in inspect.signature(call).parameters
        self._kept = kept[types.kept_until] if types.kept_until else None
        # What admins change, they see changed at once, and not only when the event has made its round.
        administers = spec.method.upper() not in SAFE and spec.security == [{"bearer": ["admin"]}]
        self._ends = tuple(kept.values()) if administers else ()
        self._body: JsonBody | FormBody | None = None
        if len(spec.consumes) > 1 and spec.request_body:
            raise TypeError(f"{self._id} takes several media types; it takes one")
        if spec.request_body:
            (media,) = spec.request_body["content"]
            limit = spec._operation.get("x-max-bytes", JSON_LIMIT)
            if media == "multipart/form-data":
                self._body = FormBody(spec.request_body["content"][media], limit)
            else:
                self._body = JsonBody(
                    media,
                    spec.body_schema(media),
                    types.body,
                    limit,
                    required=spec.request_body.get("required", False),
                )
        self._promise = Promise(spec, types) if validate_responses else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers: HeaderList = scope["headers"]
        span = trace.get_current_span()
        span.update_name(self._id)
        span.set_attribute("http.route", self._route)
        timeout = header(headers, _TIMEOUT)
        bounded = timeout is not None and timeout.isdigit() and self._media != MEDIA_TYPE
        current_deadline.set(time.monotonic() + int(timeout) / 1000 if timeout and bounded else None)
        asks = principal(headers) if self._bearer else None
        asked, edition = (scope["path"], scope["query_string"]), 0
        if self._kept is not None:
            if (kept := self._kept.get(asked)) is not None:
                await respond(send, self._status, json_head(kept), kept)
                return
            edition = self._kept.edition
        who = {"principal": asks} if self._told else {}
        raw, body = b"", {}
        if self._body is not None:
            raw = await read_raw(receive, self._body.limit)
            # Before the parameters: its media type is looked at before the shape of anything.
            body = {"body": await self._body.read(headers, raw)}
        arguments = self._parameters.read(scope["path_params"], scope["query_string"], headers) | who | body
        for name in scope["path_params"].keys() & NAMED:
            span.set_attribute(f"delivery.{name}", str(arguments[name]))
        if self._forwarded:
            arguments["forwarded_for"] = (header(headers, b"x-forwarded-for") or b"").decode("latin-1")
        if self._webhook:
            arguments["webhook"] = signed(headers, raw)
        if self._media == MEDIA_TYPE:
            await self._stream(arguments, scope, receive, send)
            return
        try:
            result = await self._call(**arguments)
        finally:
            for answers in self._ends:
                answers.forget()
        reply = result if isinstance(result, Reply) else Reply(result)
        if_none_match = header(headers, b"if-none-match") if scope["method"] in SAFE else None
        status, head, content = encode(reply, self._status, if_none_match)
        if self._promise is not None:
            self._promise.check(reply, content)
        if self._kept is not None:
            self._kept.put(asked, content, edition)
        await respond(send, status, head, content)

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
            check=None if self._promise is None else self._promise.check_json,
        )
