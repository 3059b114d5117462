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
from services.partners import counts
from services.partners.domain import Partner
from services.partners.retries import Answer, Call, CallKind, Verdict
from services.partners.usecases import secrets
from services.runtime import outgoing, third_party, tracing, webhooks
from services.runtime.clock import Clock
from services.runtime.vault import Vault

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read; more than that is not an answer."""


class HttpPartnerSystem:
    """POST {api_url}/orders, and …/orders/{order_id}/cancellation."""

    def __init__(self, client: httpx.AsyncClient, vault: Vault, clock: Clock, timeout_s: float) -> None:
        self._client = client
        self._vault = vault
        self._clock = clock
        self._timeout_s = timeout_s
        self._contract = third_party.contract("partner-system")

    async def send(self, partner: Partner, call: Call) -> Answer:
        """Asks once. Never raises for what the partner or the network does."""
        return counts.answered(call, await self._ask(partner, call))

    async def _ask(self, partner: Partner, call: Call) -> Answer:
        body = msgspec.json.encode(call.payload)
        path, headers = _path(call), self._headers(partner, call, body)
        if not self._contract.allows(path, headers, body):
            return Answer(Verdict.FAILED, "not sent, not by the contract")
        about: dict[str, str | int] = {
            "service.peer.name": "partner system",
            "http.request.method": "POST",
            "http.request.resend_count": call.attempts - 1,
            "server.address": urlsplit(partner.api_url).hostname or "",
            "delivery.partner_id": str(partner.id),
            "delivery.order_id": call.order_id,
        }
        with tracing.span(f"tell partner of {call.kind}", SpanKind.CLIENT, None, about) as span:
            try:
                async with (
                    asyncio.timeout(self._timeout_s),  # httpx's own begins again with every byte
                    self._client.stream(
                        "POST", partner.api_url.rstrip("/") + path, content=body, headers=headers | tracing.carrier()
                    ) as answer,
                ):
                    tracing.answered(span, answer.status_code)
                    read = b""
                    async for chunk in answer.aiter_raw():
                        read += chunk
                        if len(read) > MAX_ANSWER:
                            return Answer(Verdict.FAILED, "an answer without end")
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                tracing.failed(span, type(error).__name__)
                return Answer(Verdict.FAILED, _words(error))
        judged = judge(answer, read, call.order_id, self._clock())
        if judged.verdict is Verdict.FAILED or self._contract.knows(path, headers, body, answer, read):
            return judged
        return Answer(Verdict.FAILED, f"{answer.status_code}, not by the contract")

    def _headers(self, partner: Partner, call: Call, body: bytes) -> dict[str, str]:
        """Signed with every secret that is good now: the partner may not have the new one yet."""
        now = self._clock()
        signed = [webhooks.sign(call.id, now, body, secret) for secret in secrets.good(partner, self._vault, now)]
        signatures = " ".join(headers["webhook-signature"] for headers in signed)
        said = {"content-type": "application/json", "accept-encoding": "identity"}
        return signed[0] | said | {"webhook-signature": signatures}


def judge(answer: httpx.Response, body: bytes, order_id: str, now: datetime) -> Answer:
    """What an answer means by the contract; one that is not in it does not count."""
    status = answer.status_code
    if status == httpx.codes.NO_CONTENT or (status == httpx.codes.OK and _names(body, order_id)):
        return Answer(Verdict.TAKEN, str(status))
    if answer.is_success:
        return Answer(Verdict.FAILED, f"{status}, not by the contract")
    if answer.has_redirect_location:
        return Answer(Verdict.FAILED, f"{status}, a redirect, which is not followed")
    if status == httpx.codes.GONE:
        return Answer(Verdict.GONE, str(status))
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return Answer(Verdict.REFUSED, str(status))
    return Answer(Verdict.FAILED, str(status), retry_after(answer.headers.get("retry-after", ""), now))


def retry_after(value: str, now: datetime) -> timedelta | None:
    """What the header asks for, in seconds or as a date; None when it asks for nothing that can be read."""
    if value.isascii() and value.isdigit() and len(value) < 8:
        return timedelta(seconds=int(value))
    with contextlib.suppress(ValueError, OverflowError):
        return max(timedelta(0), email.utils.parsedate_to_datetime(value).astimezone(UTC) - now)
    return None


def _path(call: Call) -> str:
    return "/orders" if call.kind is CallKind.ORDER else f"/orders/{quote(call.order_id, safe='')}/cancellation"


def _names(body: bytes, order_id: str) -> bool:
    try:
        return msgspec.json.decode(body, type=Taken).order_id == order_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _words(error: Exception) -> str:
    if isinstance(error.__cause__, outgoing.ForbiddenTargetError):
        return "a forbidden target"
    return type(error).__name__
