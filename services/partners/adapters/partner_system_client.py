"""Partners' own systems, as `partner-system.yaml` describes them: signed, not redirected, capped."""

import asyncio
import contextlib
import email.utils
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from opentelemetry.trace import SpanKind

from generated.rest.partner_system.models import Taken
from services.partners.adapters import metrics
from services.partners.domain.call_policy import Call, CallKind, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.usecases import webhook_secrets
from services.runtime.core.clock import Clock
from services.runtime.outbound import contract_validation, safe_http_client, webhooks
from services.runtime.storage.encryption import SecretBox
from services.runtime.telemetry import tracing

MAX_RESPONSE_BYTES = 64 * 1024
"""Bytes of an answer that are read; more than that is not an answer."""


class PartnerSystemClient:
    """POST {api_url}/orders, and …/orders/{order_id}/cancellation."""

    def __init__(self, client: httpx.AsyncClient, secret_box: SecretBox, clock: Clock, timeout_s: float) -> None:
        self._client = client
        self._secret_box = secret_box
        self._clock = clock
        self._timeout_s = timeout_s
        self._contract = contract_validation.load_contract("partner-system")

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        """Asks once. Never raises for what the partner or the network does."""
        return metrics.record_response(call, await self._send(partner, call))

    async def _send(self, partner: Partner, call: Call) -> PartnerResponse:
        body = msgspec.json.encode(call.payload)
        path, headers = _request_path(call), self._signed_headers(partner, call, body)
        if not self._contract.is_valid_request(path, headers, body):
            return PartnerResponse(Outcome.FAILED, "not sent, not by the contract")
        about: dict[str, str | int] = {
            "service.peer.name": "partner system",
            "http.request.method": "POST",
            "http.request.resend_count": call.attempts - 1,
            "server.address": urlsplit(partner.api_url).hostname or "",
            "delivery.partner_id": str(partner.id),
            "delivery.order_id": call.order_id,
        }
        with tracing.start_span(f"tell partner of {call.kind}", SpanKind.CLIENT, None, about) as span:
            try:
                async with (
                    asyncio.timeout(self._timeout_s),  # httpx's own begins again with every byte
                    self._client.stream(
                        "POST",
                        partner.api_url.rstrip("/") + path,
                        content=body,
                        headers=headers | tracing.get_context_headers(),
                    ) as answer,
                ):
                    tracing.record_http_response(span, answer.status_code)
                    read = b""
                    async for chunk in answer.aiter_raw():
                        read += chunk
                        if len(read) > MAX_RESPONSE_BYTES:
                            return PartnerResponse(Outcome.FAILED, "an answer without end")
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                tracing.record_error(span, type(error).__name__)
                return PartnerResponse(Outcome.FAILED, _describe_error(error))
        judged = classify_response(answer, read, call.order_id, self._clock())
        if judged.outcome is Outcome.FAILED or self._contract.is_valid_response(path, headers, body, answer, read):
            return judged
        return PartnerResponse(Outcome.FAILED, f"{answer.status_code}, not by the contract")

    def _signed_headers(self, partner: Partner, call: Call, body: bytes) -> dict[str, str]:
        """Signed with every secret that is good now: the partner may not have the new one yet."""
        now = self._clock()
        signed = [
            webhooks.sign_message(call.id, now, body, secret)
            for secret in webhook_secrets.active_secrets(partner, self._secret_box, now)
        ]
        signatures = " ".join(headers["webhook-signature"] for headers in signed)
        said = {"content-type": "application/json", "accept-encoding": "identity"}
        return signed[0] | said | {"webhook-signature": signatures}


def classify_response(response: httpx.Response, body: bytes, order_id: str, now: datetime) -> PartnerResponse:
    """What an answer means by the contract; one that is not in it does not count."""
    status = response.status_code
    if status == httpx.codes.NO_CONTENT or (status == httpx.codes.OK and _acknowledges_order(body, order_id)):
        return PartnerResponse(Outcome.ACCEPTED, str(status))
    if response.is_success:
        return PartnerResponse(Outcome.FAILED, f"{status}, not by the contract")
    if response.has_redirect_location:
        return PartnerResponse(Outcome.FAILED, f"{status}, a redirect, which is not followed")
    if status == httpx.codes.GONE:
        return PartnerResponse(Outcome.GONE, str(status))
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return PartnerResponse(Outcome.REJECTED, str(status))
    return PartnerResponse(Outcome.FAILED, str(status), parse_retry_after(response.headers.get("retry-after", ""), now))


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """What the header asks for, in seconds or as a date; None when it asks for nothing that can be read."""
    if value.isascii() and value.isdigit() and len(value) < 8:
        return timedelta(seconds=int(value))
    with contextlib.suppress(ValueError, OverflowError):
        return max(timedelta(0), email.utils.parsedate_to_datetime(value).astimezone(UTC) - now)
    return None


def _request_path(call: Call) -> str:
    return "/orders" if call.kind is CallKind.ORDER else f"/orders/{quote(call.order_id, safe='')}/cancellation"


def _acknowledges_order(body: bytes, order_id: str) -> bool:
    try:
        return msgspec.json.decode(body, type=Taken).order_id == order_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _describe_error(error: Exception) -> str:
    if isinstance(error.__cause__, safe_http_client.ForbiddenTargetError):
        return "a forbidden target"
    return type(error).__name__
