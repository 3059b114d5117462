"""Banks' own systems: refunds as `payment-system.yaml` describes them, signed, not redirected, capped."""

import asyncio
from urllib.parse import urlsplit

import httpx
import msgspec
from opentelemetry.trace import SpanKind

from services.orders import counts
from services.orders.domain import Bank
from services.orders.money import Refund
from services.orders.usecases.payments import secrets
from services.orders.usecases.ports import Answer
from services.runtime import third_party, tracing, webhooks
from services.runtime.clock import Clock
from services.runtime.vault import Vault

PATH = "/refunds"

FINAL = frozenset({400, 401, 404, 409, 422})
"""Statuses that are final by the contract; what it does not know is a failed try."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read; more than that is not an answer."""


class _Taken(msgspec.Struct):
    refund_id: str
    payment_id: str
    amount: int
    currency: str


class HttpPaymentSystem:
    """POST {api_url}/refunds, with the refund's id as the webhook's, so that every try is the same request."""

    def __init__(self, client: httpx.AsyncClient, vault: Vault, clock: Clock, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._vault = vault
        self._clock = clock
        self._contract = third_party.contract("payment-system")

    async def refund(self, bank: Bank, refund: Refund) -> Answer:
        """Asks once. Never raises for what the bank or the network does."""
        return counts.asked(await self._ask(bank, refund))

    async def _ask(self, bank: Bank, refund: Refund) -> Answer:
        asked = _Taken(refund.id, refund.payment_id, refund.amount, refund.currency)
        body = msgspec.json.encode(asked)
        headers = self._headers(bank, refund, body)
        if not self._contract.allows(PATH, headers, body):
            return Answer(False, False, "not sent, not by the contract")
        about = {
            "service.peer.name": "bank",
            "http.request.method": "POST",
            "server.address": urlsplit(bank.api_url).hostname or "",
            "delivery.bank_id": bank.id,
            "delivery.order_id": refund.order_id,
        }
        with tracing.span("refund", SpanKind.CLIENT, None, about) as span:
            try:
                async with (
                    asyncio.timeout(self._timeout_s),  # httpx's own begins again with every byte
                    self._client.stream(
                        "POST", bank.api_url + PATH, content=body, headers=headers | tracing.carrier()
                    ) as answer,
                ):
                    tracing.answered(span, answer.status_code)
                    read = b""
                    async for chunk in answer.aiter_raw():
                        read += chunk
                        if len(read) > MAX_ANSWER:
                            return Answer(False, False, "an answer without end")
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                tracing.failed(span, type(error).__name__)
                return Answer(False, False, type(error).__name__)
        if answer.status_code != httpx.codes.OK:
            return Answer(False, answer.status_code in FINAL, str(answer.status_code))
        if not self._contract.knows(PATH, headers, body, answer, read):
            return Answer(False, False, "200, not by the contract")
        return Answer(True, True, "200") if _says(read, asked) else Answer(False, False, "200 with another refund")

    def _headers(self, bank: Bank, refund: Refund, body: bytes) -> dict[str, str]:
        """Signed with every secret that is good now: the bank may not have the new one yet."""
        now = self._clock()
        signed = [webhooks.sign(refund.id, now, body, secret) for secret in secrets(bank, self._vault, now)]
        signatures = " ".join(headers["webhook-signature"] for headers in signed)
        said = {"content-type": "application/json", "accept-encoding": "identity"}
        return signed[0] | said | {"webhook-signature": signatures}


def _says(read: bytes, asked: _Taken) -> bool:
    try:
        return msgspec.json.decode(read, type=_Taken) == asked
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
