"""What admins do with products, and with what they cost where."""

from dataclasses import replace
from typing import Any

from generated.problems import Reason
from services.partners.domain.partners import Availability, Product
from services.partners.usecases import catalog_events
from services.partners.usecases.partners import require_admin
from services.partners.usecases.ports import CatalogOffer, Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal


async def create_product(unit: UnitOfWork, principal: Principal, product: Product) -> Product:
    """Adds a product; its id is given here. Nobody sells it yet."""
    require_admin(principal)
    return await unit.add_product(product)


async def list_products(repository: Repository, principal: Principal, size: int, token: str) -> Page[Product]:
    """A page of all products, by id."""
    require_admin(principal)
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    return pagination.build_page(
        await repository.list_products(after[0], size + 1), size, lambda product: (product.id,)
    )


async def get_product(repository: Repository, principal: Principal, product_id: int) -> Product:
    """Refuses PRODUCT_NOT_FOUND."""
    require_admin(principal)
    product = await repository.get_product(product_id)
    if product is None:
        raise ApiError(Reason.PRODUCT_NOT_FOUND)
    return product


async def update_product(
    repository: Repository,
    clock: Clock,
    principal: Principal,
    product_id: int,
    version: int | None,
    updates: dict[str, Any],
) -> Product:
    """Changes what is named. Refuses PRODUCT_NOT_FOUND, and PRECONDITION_FAILED when it has another version."""
    require_admin(principal)
    async with repository.unit_of_work() as unit:
        product = await _lock_product(unit, product_id)
        if version not in (None, product.version):
            raise ApiError(Reason.PRECONDITION_FAILED)
        after = replace(product, **updates)
        if after == product:
            return product
        after = replace(after, version=product.version + 1)
        await unit.save_product(after)
        await unit.publish(catalog_events.product_changed_event(product_id, clock()))
        return after


async def delete_product(repository: Repository, clock: Clock, principal: Principal, product_id: int) -> None:
    """Deletes a product, wherever it is sold. Refuses PRODUCT_NOT_FOUND."""
    require_admin(principal)
    async with repository.unit_of_work() as unit:
        await _lock_product(unit, product_id)
        await unit.delete_product(product_id)
        await unit.publish(catalog_events.product_changed_event(product_id, clock()))


async def set_availability(
    repository: Repository,
    clock: Clock,
    principal: Principal,
    partner_id: int,
    product_id: int,
    availability: Availability,
) -> Availability:
    """What a product costs at a partner from now on. Refuses PARTNER_NOT_FOUND, PRODUCT_NOT_FOUND."""
    require_admin(principal)
    async with repository.unit_of_work() as unit:
        await _lock_partner_and_product(unit, partner_id, product_id)
        if await unit.get_availability_for_update(partner_id, product_id) != availability:
            await unit.save_availability(partner_id, product_id, availability)
            await unit.publish(catalog_events.offer_changed_event(partner_id, product_id, clock()))
    return availability


async def remove_availability(
    repository: Repository, clock: Clock, principal: Principal, partner_id: int, product_id: int
) -> None:
    """Takes a product from a partner. Refuses PARTNER_NOT_FOUND, and PRODUCT_NOT_FOUND when it does not sell it."""
    require_admin(principal)
    async with repository.unit_of_work() as unit:
        await _lock_partner_and_product(unit, partner_id, product_id)
        if not await unit.remove_availability(partner_id, product_id):
            raise ApiError(Reason.PRODUCT_NOT_FOUND, "The partner does not sell it.")
        await unit.publish(catalog_events.offer_changed_event(partner_id, product_id, clock()))


async def list_partner_products(repository: Repository, partner_id: int, size: int, token: str) -> Page[CatalogOffer]:
    """A page of what a partner sells now, by id. Refuses PARTNER_NOT_FOUND for one that customers do not see."""
    partner = await repository.get_partner(partner_id)
    if partner is None or not partner.is_open:
        raise ApiError(Reason.PARTNER_NOT_FOUND)
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    rows = await repository.list_partner_products(partner_id, after[0], size + 1)
    return pagination.build_page(rows, size, lambda offer: (offer.id,))


async def _lock_product(unit: UnitOfWork, product_id: int) -> Product:
    product = await unit.get_product_for_update(product_id)
    if product is None:
        raise ApiError(Reason.PRODUCT_NOT_FOUND)
    return product


async def _lock_partner_and_product(unit: UnitOfWork, partner_id: int, product_id: int) -> None:
    # In this order everywhere, so that two who lock both wait for each other, and not in a ring.
    if not await unit.lock_partner_for_share(partner_id):
        raise ApiError(Reason.PARTNER_NOT_FOUND)
    if not await unit.lock_product_for_share(product_id):
        raise ApiError(Reason.PRODUCT_NOT_FOUND)
