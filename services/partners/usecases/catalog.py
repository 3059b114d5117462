"""What customers see of partners, and what a basket costs."""

import re
from collections.abc import Sequence

import msgspec

from generated.problems import Reason
from generated.rest.delivery.models import ReadyCallback
from services.partners.domain import Line, Partner, PricedLine, Product, price
from services.partners.usecases import changes, secrets
from services.partners.usecases.ports import CatalogEntry, Store
from services.runtime import paging, webhooks
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.refusal import FieldError, Refusal
from services.runtime.vault import Vault
from services.runtime.webhooks import SignedRequest

_PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")


async def list_catalog(
    store: Store, size: int, token: str, partner_id: int | None, q: str | None
) -> Page[CatalogEntry]:
    """A page of the partners that sell something now, by id. Refuses INVALID_REQUEST for a token that is none."""
    after = paging.decode(token, tuple[int]) or (0,)
    return paging.cut(await store.catalog(after[0], size + 1, partner_id, q), size, lambda entry: (entry.id,))


async def set_product_picture(
    store: Store, clock: Clock, product_id: int, picture_url: str
) -> tuple[Product, str | None]:
    """The product as it is now, and where its picture was. Refuses PRODUCT_NOT_FOUND and INVALID_REQUEST."""
    if not _PATH.fullmatch(picture_url):
        raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError("/picture_url", "is no path of the public API")])
    async with store.unit() as unit:
        found = await unit.set_product_picture(product_id, picture_url)
        if found is None:
            raise Refusal(Reason.PRODUCT_NOT_FOUND)
        if found[1] != picture_url:
            await unit.publish(changes.of_product(product_id, clock()))
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
    if partner is None or not partner.open:
        raise Refusal(Reason.PARTNER_UNAVAILABLE)
    offers = await store.offers(partner_id, [line.product_id for line in lines])
    return partner, price(lines, offers, total, currency)


async def verify_ready(
    store: Store, vault: Vault, clock: Clock, partner_id: int, request: SignedRequest
) -> ReadyCallback:
    """What a genuine callback says. Refuses SIGNATURE_INVALID, and ORDER_NOT_FOUND for another partner's order."""
    partner = await store.partner(partner_id)
    known = [] if partner is None else secrets.good(partner, vault, clock())
    webhooks.verify(request, known)
    callback = msgspec.json.decode(request.body, type=ReadyCallback)
    if not await store.has_order(partner_id, callback.order_id):
        raise Refusal(Reason.ORDER_NOT_FOUND)
    return callback
