"""HTTP client of partner systems, as specified in `partner-system.yaml`.

Requests are signed, redirects are not followed, and response size and total time are limited.
"""

import asyncio
import contextlib
import email.utils
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from opentelemetry.trace import SpanKind

from generated.rest.partner_system.models import OrderAcknowledgement
from services.partners.adapters import metrics
from services.partners.domain.call_policy import Call, CallKind, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.usecases import webhook_secrets
from services.runtime.core.clock import Clock
from services.runtime.outbound import contract_validation, safe_http_client, webhooks
from services.runtime.storage.encryption import SecretBox
from services.runtime.telemetry import tracing

MAX_RESPONSE_BYTES = 64 * 1024
"""Maximum size of a response body; a larger response is a failure."""


class PartnerSystemClient:
    """Sends `POST {api_url}/orders` and `POST {api_url}/orders/{order_id}/cancellation`."""

    def __init__(self, client: httpx.AsyncClient, secret_box: SecretBox, clock: Clock, timeout_s: float) -> None:
        self._client = client
        self._secret_box = secret_box
        self._clock = clock
        self._timeout_s = timeout_s
        self._contract = contract_validation.load_contract("partner-system")

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        """Make one attempt at the call. Never raises for errors of the partner system or the network."""
        response = await self._send(partner, call)
        metrics.record_response(call, response)
        return response

    async def _send(self, partner: Partner, call: Call) -> PartnerResponse:
        body = msgspec.json.encode(call.payload)
        path, headers = _request_path(call), self._signed_headers(partner, call, body)
        if not self._contract.is_valid_request(path, headers, body):
            return PartnerResponse(Outcome.FAILED, "not sent: request violates the contract")
        attributes: dict[str, str | int] = {
            "service.peer.name": "partner system",
            "http.request.method": "POST",
            "http.request.resend_count": call.attempts - 1,
            "server.address": urlsplit(partner.api_url).hostname or "",
            "delivery.partner_id": str(partner.id),
            "delivery.order_id": call.order_id,
        }
        with tracing.start_span(f"send {call.kind} to partner", SpanKind.CLIENT, None, attributes) as span:
            try:
                async with (
                    asyncio.timeout(self._timeout_s),  # total deadline: httpx's read timeout restarts with every chunk
                    self._client.stream(
                        "POST",
                        partner.api_url.rstrip("/") + path,
                        content=body,
                        headers=headers | tracing.get_context_headers(),
                    ) as http_response,
                ):
                    tracing.record_http_response(span, http_response.status_code)
                    content = b""
                    async for chunk in http_response.aiter_raw():
                        content += chunk
                        if len(content) > MAX_RESPONSE_BYTES:
                            return PartnerResponse(Outcome.FAILED, f"response larger than {MAX_RESPONSE_BYTES} bytes")
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                tracing.record_error(span, type(error).__name__)
                return PartnerResponse(Outcome.FAILED, _describe_error(error))
        response = classify_response(http_response, content, call.order_id, self._clock())
        if response.outcome is Outcome.FAILED or self._contract.is_valid_response(
            path, headers, body, http_response, content
        ):
            return response
        return PartnerResponse(Outcome.FAILED, f"{http_response.status_code}: response violates the contract")

    def _signed_headers(self, partner: Partner, call: Call, body: bytes) -> dict[str, str]:
        """Return the headers, signed with every active secret: the partner may not have the new one yet."""
        now = self._clock()
        signed = [
            webhooks.sign_message(call.id, now, body, secret)
            for secret in webhook_secrets.active_secrets(partner, self._secret_box, now)
        ]
        signatures = " ".join(headers["webhook-signature"] for headers in signed)
        content_headers = {"content-type": "application/json", "accept-encoding": "identity"}
        return signed[0] | content_headers | {"webhook-signature": signatures}


def classify_response(response: httpx.Response, body: bytes, order_id: str, now: datetime) -> PartnerResponse:
    """Return the outcome of a response; a response that the contract does not define is a failure."""
    status = response.status_code
    if status == httpx.codes.NO_CONTENT or (status == httpx.codes.OK and _acknowledges_order(body, order_id)):
        return PartnerResponse(Outcome.ACCEPTED, str(status))
    if response.is_success:
        return PartnerResponse(Outcome.FAILED, f"{status}: response violates the contract")
    if response.has_redirect_location:
        return PartnerResponse(Outcome.FAILED, f"{status}: redirect not followed")
    if status == httpx.codes.GONE:
        return PartnerResponse(Outcome.GONE, str(status))
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return PartnerResponse(Outcome.REJECTED, str(status))
    return PartnerResponse(Outcome.FAILED, str(status), parse_retry_after(response.headers.get("retry-after", ""), now))


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """Return the delay of a Retry-After header, given in seconds or as a date; None if it is missing or invalid."""
    if value.isascii() and value.isdigit() and len(value) < 8:
        return timedelta(seconds=int(value))
    with contextlib.suppress(ValueError, OverflowError):
        return max(timedelta(0), email.utils.parsedate_to_datetime(value).astimezone(UTC) - now)
    return None


def _request_path(call: Call) -> str:
    return "/orders" if call.kind is CallKind.ORDER else f"/orders/{quote(call.order_id, safe='')}/cancellation"


def _acknowledges_order(body: bytes, order_id: str) -> bool:
    try:
        return msgspec.json.decode(body, type=OrderAcknowledgement).order_id == order_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _describe_error(error: Exception) -> str:
    if isinstance(error.__cause__, safe_http_client.ForbiddenTargetError):
        return "forbidden target"
    return type(error).__name__
