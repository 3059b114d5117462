"""What partners can do, each as one function:

- list_catalog: a page of partners with what they sell
- set_product_picture, list_product_pictures: what a product looks like
- check_products: what a basket costs at a partner
- verify_ready: whether a partner's callback is genuine, and the order its own
- plan_call: an order was paid, so the partner's system is to be told
- make_call: tell it, and write down what it said
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from generated.problems import Reason
from generated.rest.delivery.models import ReadyCallback
from services.partners.domain import Line, Offer, Partner, PricedLine, Product, pause, price
from services.runtime import paging, webhooks
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.refusal import Refusal
from services.runtime.vault import Vault
from services.runtime.webhooks import SignedRequest


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A partner with its products by id; each has id, title, description, picture_url, price and currency."""

    id: int
    title: str
    brand: str
    address: str
    products: Sequence[Mapping[str, Any]]
    products_truncated: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a partner's system. `id` is its webhook id, the same at every try; `attempts` counts this one."""

    id: str
    partner_id: int
    order_id: str
    payload: Mapping[str, Any]
    trace: Mapping[str, str]
    attempts: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a partner's system said: whether it took the order, in words, and when it wants to be asked again."""

    accepted: bool
    words: str
    retry_after: timedelta | None = None


class Store(Protocol):
    """Where partners are kept."""

    async def set_product_picture(self, product_id: int, picture_url: str) -> tuple[Product, str | None] | None:
        """The product as it is now, and where its picture was; None when there is no such product."""

    async def product_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        """Products above `after` that have a picture, each with where it is."""

    async def catalog(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        """At most `size` entries whose id is above `after`."""

    async def partner(self, partner_id: int) -> Partner | None:
        """The partner, whether it takes orders or not."""

    async def offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        """Those of the products that the partner sells now."""

    async def has_call(self, partner_id: int, order_id: str) -> bool:
        """Whether the order was ever given to the partner."""

    async def plan_call(self, event_id: str, call: Call, at: datetime) -> None:
        """Keeps the call, once per event."""

    async def delivered(self, call: Call, words: str, at: datetime) -> None:
        """The partner has it: the call ends, and `partners.notified` leaves."""

    async def not_delivered(self, call: Call, words: str, again_at: datetime | None) -> None:
        """The call is tried again, or ends without success."""


class PartnerSystem(Protocol):
    """How a partner's system is reached."""

    async def send_order(self, partner: Partner, call: Call) -> Answer:
        """Sends the order; every failure is an answer that did not accept."""


async def list_catalog(
    store: Store, size: int, token: str, partner_id: int | None, q: str | None
) -> Page[CatalogEntry]:
    """A page of the partners that sell something now, by id. Refuses INVALID_REQUEST for a token that is none."""
    after = paging.decode(token, tuple[int]) or (0,)
    return paging.cut(await store.catalog(after[0], size + 1, partner_id, q), size, lambda entry: (entry.id,))


async def set_product_picture(store: Store, product_id: int, picture_url: str) -> tuple[Product, str | None]:
    """The product as it is now, and where its picture was. Refuses PRODUCT_NOT_FOUND."""
    found = await store.set_product_picture(product_id, picture_url)
    if found is None:
        raise Refusal(Reason.PRODUCT_NOT_FOUND)
    return found


async def list_product_pictures(store: Store, size: int, token: str) -> Page[tuple[int, str]]:
    """A page of pictures by product."""
    after = paging.decode(token, tuple[int]) or (0,)
    return paging.cut(await store.product_pictures(after[0], size + 1), size, lambda row: (row[0],))


async def check_products(
    store: Store, partner_id: int, lines: Sequence[Line], total: int, currency: str
) -> tuple[Partner, list[PricedLine]]:
    """Prices a basket. Refuses PARTNER_UNAVAILABLE and what `domain.price` refuses."""
    partner = await store.partner(partner_id)
    if partner is None or not (partner.verified and partner.enabled):
        raise Refusal(Reason.PARTNER_UNAVAILABLE)
    offers = await store.offers(partner_id, [line.product_id for line in lines])
    return partner, price(lines, offers, total, currency)


async def verify_ready(store: Store, vault: Vault, partner_id: int, request: SignedRequest) -> ReadyCallback:
    """What a genuine callback says. Refuses SIGNATURE_INVALID, and ORDER_NOT_FOUND for another partner's order."""
    partner = await store.partner(partner_id)
    webhooks.verify(request, [] if partner is None else [vault.unlock(partner.webhook_secret)])
    callback = msgspec.json.decode(request.body, type=ReadyCallback)
    if not await store.has_call(partner_id, callback.order_id):
        raise Refusal(Reason.ORDER_NOT_FOUND)
    return callback


async def plan_call(store: Store, event_id: str, call: Call, at: datetime) -> None:
    """Writes down that the partner is to be told, before anyone tries to."""
    await store.plan_call(event_id, call, at)


async def make_call(store: Store, system: PartnerSystem, clock: Clock, call: Call) -> None:
    """One try. The partner's system knows repeats by the call's id, so a crash after it answered does no harm."""
    partner = await store.partner(call.partner_id)
    if partner is None:
        await store.not_delivered(call, "no such partner", None)
        return
    answer = await system.send_order(partner, call)
    if answer.accepted:
        await store.delivered(call, answer.words, clock())
    else:
        wait = pause(call.attempts, answer.retry_after)
        await store.not_delivered(call, answer.words, None if wait is None else clock() + wait)
