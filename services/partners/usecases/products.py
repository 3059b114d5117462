"""What admins do with products, and with what they cost where."""

from dataclasses import replace
from typing import Any

from generated.problems import Reason
from services.partners.domain import Availability, Product
from services.partners.usecases import changes
from services.partners.usecases.partners import admins_only
from services.partners.usecases.ports import CatalogOffer, Store, Unit
from services.runtime import paging
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal


async def create_product(unit: Unit, who: Principal, product: Product) -> Product:
    """Adds a product; its id is given here. Nobody sells it yet."""
    admins_only(who)
    return await unit.add_product(product)


async def list_products(store: Store, who: Principal, size: int, token: str) -> Page[Product]:
    """A page of all products, by id."""
    admins_only(who)
    after = paging.decode(token, tuple[int]) or (0,)
    return paging.cut(await store.products(after[0], size + 1), size, lambda product: (product.id,))


async def get_product(store: Store, who: Principal, product_id: int) -> Product:
    """Refuses PRODUCT_NOT_FOUND."""
    admins_only(who)
    product = await store.product(product_id)
    if product is None:
        raise Refusal(Reason.PRODUCT_NOT_FOUND)
    return product


async def update_product(
    store: Store, clock: Clock, who: Principal, product_id: int, version: int | None, said: dict[str, Any]
) -> Product:
    """Changes what is named. Refuses PRODUCT_NOT_FOUND, and PRECONDITION_FAILED when it has another version."""
    admins_only(who)
    async with store.unit() as unit:
        product = await _locked(unit, product_id)
        if version not in (None, product.version):
            raise Refusal(Reason.PRECONDITION_FAILED)
        after = replace(product, **said)
        if after == product:
            return product
        after = replace(after, version=product.version + 1)
        await unit.put_product(after)
        await unit.publish(changes.of_product(product_id, clock()))
        return after


async def delete_product(store: Store, clock: Clock, who: Principal, product_id: int) -> None:
    """Deletes a product, wherever it is sold. Refuses PRODUCT_NOT_FOUND."""
    admins_only(who)
    async with store.unit() as unit:
        await _locked(unit, product_id)
        await unit.delete_product(product_id)
        await unit.publish(changes.of_product(product_id, clock()))


async def set_availability(
    store: Store, clock: Clock, who: Principal, partner_id: int, product_id: int, wanted: Availability
) -> Availability:
    """What a product costs at a partner from now on. Refuses PARTNER_NOT_FOUND, PRODUCT_NOT_FOUND."""
    admins_only(who)
    async with store.unit() as unit:
        await _both(unit, partner_id, product_id)
        if await unit.availability(partner_id, product_id) != wanted:
            await unit.put_availability(partner_id, product_id, wanted)
            await unit.publish(changes.of_offer(partner_id, product_id, clock()))
    return wanted


async def remove_availability(store: Store, clock: Clock, who: Principal, partner_id: int, product_id: int) -> None:
    """Takes a product from a partner. Refuses PARTNER_NOT_FOUND, and PRODUCT_NOT_FOUND when it does not sell it."""
    admins_only(who)
    async with store.unit() as unit:
        await _both(unit, partner_id, product_id)
        if not await unit.remove_availability(partner_id, product_id):
            raise Refusal(Reason.PRODUCT_NOT_FOUND, "The partner does not sell it.")
        await unit.publish(changes.of_offer(partner_id, product_id, clock()))


async def list_partner_products(store: Store, partner_id: int, size: int, token: str) -> Page[CatalogOffer]:
    """A page of what a partner sells now, by id. Refuses PARTNER_NOT_FOUND for one that customers do not see."""
    partner = await store.partner(partner_id)
    if partner is None or not partner.open:
        raise Refusal(Reason.PARTNER_NOT_FOUND)
    after = paging.decode(token, tuple[int]) or (0,)
    rows = await store.partner_products(partner_id, after[0], size + 1)
    return paging.cut(rows, size, lambda offer: (offer.id,))


async def _locked(unit: Unit, product_id: int) -> Product:
    product = await unit.product(product_id)
    if product is None:
        raise Refusal(Reason.PRODUCT_NOT_FOUND)
    return product


async def _both(unit: Unit, partner_id: int, product_id: int) -> None:
    # In this order everywhere, so that two who lock both wait for each other, and not in a ring.
    if not await unit.keep_partner(partner_id):
        raise Refusal(Reason.PARTNER_NOT_FOUND)
    if not await unit.keep_product(product_id):
        raise Refusal(Reason.PRODUCT_NOT_FOUND)
