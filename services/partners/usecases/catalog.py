"""Catalog for customers, product pictures and basket prices."""

import re
from collections.abc import Sequence
from dataclasses import replace

from generated.problems import Reason
from services.partners.domain.partners import BasketLine, CatalogEntry, Partner, PricedLine, Product, price_basket
from services.partners.usecases import catalog_events
from services.partners.usecases.ports import Repository
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal, require_role

_PICTURE_PATH_PATTERN = re.compile(r"(/[A-Za-z0-9._-]+)+")


async def list_catalog(
    repository: Repository, size: int, token: str, partner_id: int | None, q: str | None
) -> Page[CatalogEntry]:
    """Return a page of the open partners that have products on sale, by id.

    Raises ApiError: INVALID_REQUEST for an invalid page token.
    """
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    return pagination.build_page(
        await repository.catalog.list_entries(after[0], size + 1, partner_id, q), size, lambda entry: (entry.id,)
    )


async def set_product_picture(
    repository: Repository, clock: Clock, principal: Principal, product_id: int, picture_url: str
) -> tuple[Product, str | None]:
    """Set a product's picture. Return the updated product and the previous picture URL.

    Raises ApiError: FORBIDDEN, PRODUCT_NOT_FOUND, or INVALID_REQUEST if the URL is not a path.
    """
    require_role(principal, "admin")
    if not _PICTURE_PATH_PATTERN.fullmatch(picture_url):
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("picture_url", "must be a path of the public API")])
    async with repository.unit_of_work() as unit:
        before = await unit.products.get_for_update(product_id)
        if before is None:
            raise ApiError(Reason.PRODUCT_NOT_FOUND)
        if before.picture_url == picture_url:  # a retry
            return before, picture_url
        after = replace(before, picture_url=picture_url, version=before.version + 1)
        await unit.products.save(after)
        await unit.publish(catalog_events.build_product_changed_event(product_id, clock()))
    return after, before.picture_url


async def list_product_pictures(repository: Repository, size: int, token: str) -> Page[tuple[int, str]]:
    """Return a page of product ids and picture URLs, by product id."""
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    return pagination.build_page(
        await repository.products.list_pictures(after[0], size + 1), size, lambda row: (row[0],)
    )


async def check_products(
    repository: Repository, partner_id: int, lines: Sequence[BasketLine], total: int, currency: str, tip: int = 0
) -> tuple[Partner, list[PricedLine]]:
    """Return the partner and the priced basket, whose total contains the tip.

    Raises ApiError: PARTNER_UNAVAILABLE, PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, TOTAL_MISMATCH.
    """
    partner = await repository.partners.get(partner_id)
    if partner is None or not partner.is_open:
        raise ApiError(Reason.PARTNER_UNAVAILABLE)
    offers = await repository.catalog.find_offers(partner_id, [line.product_id for line in lines])
    return partner, price_basket(lines, offers, total, currency, tip)
