"""HTTP client for signed POST requests to third parties, validated by contract, with bounded time and response size."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
from opentelemetry.trace import SpanKind

from generated import mesh
from services.runtime.core.clock import Clock
from services.runtime.outbound import base_url, contract_validation, webhooks
from services.runtime.outbound.safe_http_client import ForbiddenTargetError
from services.runtime.telemetry import http_client, tracing

MAX_RESPONSE_BYTES = 64 * 1024
"""Maximum size of a response body; a larger response is an error."""


class RequestFailedError(Exception):
    """The request was not sent, or no complete response was received. The message is a summary for admins."""


class ResponseTooLargeError(RequestFailedError):
    """The response body is larger than MAX_RESPONSE_BYTES."""


@dataclass(frozen=True, slots=True)
class SignedPost:
    """POST request; `path` is relative to the third party's base URL and defined by its contract.

    `id` is the webhook id, the same for all attempts. `secrets` are all active secrets, the newest first: each of them
    signs, since the third party may not have the newest one yet.
    """

    base_url: str
    path: str
    id: str
    body: bytes
    secrets: Sequence[str]


@dataclass(frozen=True, slots=True)
class ThirdPartyResponse:
    """Complete response with its body. `is_valid` is true if it conforms to the contract."""

    http: httpx.Response
    body: bytes
    is_valid: bool


class SignedClient:
    """Client of one kind of third party, whose contract is `api-specs/openapi/<contract>.yaml`.

    `transport` is created by `safe_http_client.create_transport`; `timeout_s` is the total timeout of a request.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, contract: str, clock: Clock, timeout_s: float) -> None:
        self._transport = transport
        self._contract = contract_validation.load_contract(contract)
        self._clock = clock
        self._timeout_s = timeout_s

    async def post(
        self, request: SignedPost, span_name: str, attributes: Mapping[str, str | int]
    ) -> ThirdPartyResponse:
        """Send one request in a client span and return the response of any status.

        Raises RequestFailedError for a request outside the contract, for network errors and for a response that exceeds
        the time or size limit.
        """
        path, body, headers = request.path, request.body, self._build_headers(request)
        if not self._contract.is_valid_request(path, headers, body):
            raise RequestFailedError("not sent: request violates the contract")
        try:
            url = base_url.build_url(request.base_url, path)
            span_attributes = {**http_client.build_attributes("POST", url), **attributes}
            with (
                http_client.Measurement("POST", url) as measurement,
                tracing.start_span(span_name, SpanKind.CLIENT, None, span_attributes) as span,
            ):
                headers |= tracing.get_context_headers()
                async with asyncio.timeout(self._timeout_s):
                    response = await self._transport.handle_async_request(
                        httpx.Request("POST", url, headers=headers, content=body)
                    )
                    try:
                        measurement.status = response.status_code
                        tracing.record_http_response(span, response.status_code)
                        response_body = await _read_body(response)
                    finally:
                        await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise RequestFailedError(_describe_error(error)) from error
        is_valid = self._contract.is_valid_response(path, response, response_body)
        return ThirdPartyResponse(response, response_body, is_valid)

    def _build_headers(self, request: SignedPost) -> dict[str, str]:
        now = self._clock()
        signed_headers = [webhooks.sign_message(request.id, now, request.body, secret) for secret in request.secrets]
        return signed_headers[0] | {
            "content-type": contract_validation.MEDIA_TYPE,
            "accept": contract_validation.MEDIA_TYPE,
            "accept-encoding": "identity",
            "user-agent": mesh.NAME,
            "webhook-signature": " ".join(headers["webhook-signature"] for headers in signed_headers),
        }


async def _read_body(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise ResponseTooLargeError(f"response larger than {MAX_RESPONSE_BYTES} bytes")
    return body


def _describe_error(error: Exception) -> str:
    return "forbidden target" if isinstance(error, ForbiddenTargetError) else type(error).__name__
