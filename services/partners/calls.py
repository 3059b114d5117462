"""Telling partners' systems: the HTTP adapter, and the worker that makes the calls that are due."""

import asyncio
import contextlib
import email.utils
import logging
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
from opentelemetry.trace import SpanKind

from services.partners import usecases
from services.partners.domain import Partner
from services.partners.store import PartnersStore
from services.partners.usecases import Answer, Call, PartnerSystem
from services.runtime import tracing, webhooks
from services.runtime.clock import Clock
from services.runtime.refusal import Refusal
from services.runtime.vault import Vault

log = logging.getLogger(__name__)

AT_ONCE = 16
"""How many calls one worker has under way; one dead partner holds none of the others up for longer than its timeout."""

SWEEP = 1.0
"""Seconds between looks for calls that are due."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read; more than that is not an answer."""


class HttpPartnerSystem:
    """Partners' systems as `partner-system.yaml` describes them: signed, not redirected, capped."""

    def __init__(self, client: httpx.AsyncClient, vault: Vault, clock: Clock) -> None:
        self._client = client
        self._vault = vault
        self._clock = clock

    async def send_order(self, partner: Partner, call: Call) -> Answer:
        """POST {api_url}/orders."""
        body = msgspec.json.encode(call.payload)
        secret = self._vault.unlock(partner.webhook_secret)
        with tracing.span("send order to partner", SpanKind.CLIENT, call.trace, {"delivery.partner_id": partner.id}):
            headers = webhooks.sign(call.id, self._clock(), body, secret) | tracing.carrier()
            headers["content-type"] = "application/json"
            try:
                async with self._client.stream(
                    "POST", f"{partner.api_url}/orders", content=body, headers=headers
                ) as answer:
                    size = 0
                    async for chunk in answer.aiter_raw():
                        size += len(chunk)
                        if size > MAX_ANSWER:
                            return Answer(False, "an answer without end")
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                return Answer(False, type(error).__name__)
        return Answer(answer.is_success, str(answer.status_code), retry_after(answer, self._clock()))


def retry_after(answer: httpx.Response, now: datetime) -> timedelta | None:
    """What the header asks for, in seconds or as a date; None when it asks for nothing that can be read."""
    value = answer.headers.get("retry-after", "")
    if value.isascii() and value.isdigit() and len(value) < 8:
        return timedelta(seconds=int(value))
    with contextlib.suppress(ValueError):
        return max(timedelta(0), email.utils.parsedate_to_datetime(value).astimezone(UTC) - now)
    return None


async def work(store: PartnersStore, system: PartnerSystem, clock: Clock, planned: asyncio.Event) -> None:
    """Makes the calls that are due, until cancelled; `planned` says that there is one now."""
    under_way: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as tasks:
        while True:
            planned.clear()
            try:
                due = await store.take_calls(AT_ONCE - len(under_way), clock())
            except Refusal:
                due = []
                log.warning("the calls that are due cannot be read; trying again")
            under_way |= {tasks.create_task(_make(store, system, clock, call)) for call in due}
            wake = tasks.create_task(planned.wait())
            await asyncio.wait({wake, *under_way}, timeout=SWEEP, return_when=asyncio.FIRST_COMPLETED)
            wake.cancel()
            under_way = {task for task in under_way if not task.done()}
            if len(under_way) == AT_ONCE:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)


async def _make(store: PartnersStore, system: PartnerSystem, clock: Clock, call: Call) -> None:
    try:
        await usecases.make_call(store, system, clock, call)
    except Refusal:
        log.warning("the call %s was made but not written down; it will be made again", call.id)
