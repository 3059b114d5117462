"""Catalog for customers, and basket prices."""

from collections.abc import Sequence

from generated.problems import Reason
from services.partners.domain.catalog_sorting import CatalogFilter, CatalogSort, Position, ProductSort
from services.partners.domain.partners import (
    BasketLine,
    CatalogEntry,
    CatalogOffer,
    Partner,
    PricedLine,
    check_basket,
)
from services.partners.usecases.ports import Repository
from services.partners.usecases.sorted_pages import build_sorted_page, decode_position
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page


async def list_catalog(
    repository: Repository, clock: Clock, size: int, token: str, sort: CatalogSort, catalog_filter: CatalogFilter
) -> Page[CatalogEntry]:
    """Return a page of the available partners that have products on sale, as of now.

    Raises ApiError: INVALID_REQUEST for an invalid page token.
    """
    after = decode_position(token, sort)
    entries = await repository.catalog.list_entries(sort, after, size + 1, catalog_filter)
    now = clock()
    return build_sorted_page(
        [entry.with_opening_at(now) for entry in entries],
        size,
        sort,
        lambda entry: Position(entry.sort_title, entry.id),
    )


async def list_partner_products(
    repository: Repository, partner_id: int, size: int, token: str, sort: ProductSort, category: str | None
) -> Page[CatalogOffer]:
    """Return a page of the products on sale at an available partner.

    Raises ApiError: PARTNER_NOT_FOUND, INVALID_REQUEST for an invalid page token.
    """
    partner = await repository.partners.get(partner_id)
    if partner is None or not partner.is_available:
        raise ApiError(Reason.PARTNER_NOT_FOUND)
    after = decode_position(token, sort)
    offers = await repository.catalog.list_offers(partner_id, sort, after, size + 1, category)
    return build_sorted_page(
        offers,
        size,
        sort,
        lambda offer: Position(offer.sort_title if sort is ProductSort.ALPHABETICAL else offer.price, offer.id),
    )


async def check_products(
    repository: Repository,
    clock: Clock,
    partner_id: int,
    lines: Sequence[BasketLine],
    total: int,
    currency: str,
    tip: int = 0,
) -> tuple[Partner, list[PricedLine]]:
    """Return the partner and the priced basket, whose total contains the tip and the delivery fee.

    Raises ApiError: PARTNER_UNAVAILABLE, PARTNER_CLOSED, PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, TOTAL_MISMATCH.
    """
    found = await repository.catalog.find_offers(partner_id, [line.product_id for line in lines])
    if found is None:
        raise ApiError(Reason.PARTNER_UNAVAILABLE)
    partner, offers = found
    return partner, check_basket(partner, clock(), lines, offers, total, currency, tip)
