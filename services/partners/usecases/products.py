"""Management of products and their prices at partners."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from generated.problems import Reason
from services.partners.domain.partners import Availability, Product
from services.partners.usecases import catalog_events
from services.partners.usecases.ports import Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.money import MINOR_UNIT_DIGITS
from services.runtime.core.pagination import Page
from services.runtime.core.preconditions import check_version
from services.runtime.core.principal import Principal, require_role


async def create_product(
    repository: Repository,
    principal: Principal,
    product: Product,
    key: IdempotencyKey | None,
    encode: Callable[[Product], bytes],
) -> IdempotentResponse:
    """Insert a product that no partner sells yet, once per idempotency key; return the encoded response.

    `encode` is called with the product that has its new id.
    """
    require_role(principal, "admin")
    async with repository.idempotent_unit_of_work(key) as (unit, response):
        if not response.replayed:
            response.data = encode(await unit.products.add(product))
    return response


async def list_products(repository: Repository, principal: Principal, size: int, token: str) -> Page[Product]:
    """Return a page of all products, by id."""
    require_role(principal, "admin")
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    return pagination.build_page(
        await repository.products.list_after(after[0], size + 1), size, lambda product: (product.id,)
    )


async def get_product(repository: Repository, principal: Principal, product_id: int) -> Product:
    """Return a product. Raises ApiError: PRODUCT_NOT_FOUND."""
    require_role(principal, "admin")
    product = await repository.products.get(product_id)
    if product is None:
        raise ApiError(Reason.PRODUCT_NOT_FOUND)
    return product


async def update_product(
    repository: Repository,
    clock: Clock,
    principal: Principal,
    product_id: int,
    expected: Collection[int] | None,
    updates: dict[str, Any],
) -> Product:
    """Update the given fields of a product, if it has one of the expected versions; None matches any.

    Raises ApiError: PRODUCT_NOT_FOUND, PRECONDITION_FAILED.
    """
    require_role(principal, "admin")
    async with repository.unit_of_work() as unit:
        product = await _lock_product(unit, product_id)
        check_version(expected, product.version)
        after = replace(product, **updates)
        if after == product:
            return product
        after = replace(after, version=product.version + 1)
        await unit.products.save(after)
        await unit.publish(catalog_events.build_product_changed_event(product_id, clock()))
        return after


async def delete_product(repository: Repository, clock: Clock, principal: Principal, product_id: int) -> None:
    """Delete a product at all partners. Raises ApiError: PRODUCT_NOT_FOUND."""
    require_role(principal, "admin")
    async with repository.unit_of_work() as unit:
        await _lock_product(unit, product_id)
        await unit.availability.remove_product(product_id)
        await unit.products.delete(product_id)
        await unit.publish(catalog_events.build_product_changed_event(product_id, clock()))


async def set_availability(
    repository: Repository,
    clock: Clock,
    principal: Principal,
    partner_id: int,
    product_id: int,
    availability: Availability,
) -> Availability:
    """Set the price of a product at a partner and return it.

    Raises ApiError: INVALID_REQUEST, PARTNER_NOT_FOUND, PRODUCT_NOT_FOUND.
    """
    require_role(principal, "admin")
    if availability.currency not in MINOR_UNIT_DIGITS:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("currency", "is not a currency of ISO 4217")])
    async with repository.unit_of_work() as unit:
        await _lock_partner_and_product(unit, partner_id, product_id)
        if await unit.availability.get_for_update(partner_id, product_id) != availability:
            await unit.availability.save(partner_id, product_id, availability)
            await unit.publish(catalog_events.build_offer_changed_event(partner_id, product_id, clock()))
    return availability


async def remove_availability(
    repository: Repository, clock: Clock, principal: Principal, partner_id: int, product_id: int
) -> None:
    """Remove a product from a partner.

    Raises ApiError: PARTNER_NOT_FOUND, or PRODUCT_NOT_FOUND if the partner does not sell it.
    """
    require_role(principal, "admin")
    async with repository.unit_of_work() as unit:
        await _lock_partner_and_product(unit, partner_id, product_id)
        if not await unit.availability.remove(partner_id, product_id):
            raise ApiError(Reason.PRODUCT_NOT_FOUND, "The partner does not sell this product.")
        await unit.publish(catalog_events.build_offer_changed_event(partner_id, product_id, clock()))


async def _lock_product(unit: UnitOfWork, product_id: int) -> Product:
    product = await unit.products.get_for_update(product_id)
    if product is None:
        raise ApiError(Reason.PRODUCT_NOT_FOUND)
    return product


async def _lock_partner_and_product(unit: UnitOfWork, partner_id: int, product_id: int) -> None:
    # Always locked in this order, to avoid deadlocks.
    if not await unit.partners.lock_for_share(partner_id):
        raise ApiError(Reason.PARTNER_NOT_FOUND)
    if not await unit.products.lock_for_share(product_id):
        raise ApiError(Reason.PRODUCT_NOT_FOUND)
