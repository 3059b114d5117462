"""Catalog for customers, and basket prices."""

from collections.abc import Sequence

from generated.problems import Reason
from services.partners.domain.partners import BasketLine, CatalogEntry, Partner, PricedLine, check_basket
from services.partners.usecases.ports import Repository
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page


async def list_catalog(
    repository: Repository, clock: Clock, size: int, token: str, partner_id: int | None, q: str | None
) -> Page[CatalogEntry]:
    """Return a page of the available partners that have products on sale, by id, as of now.

    Raises ApiError: INVALID_REQUEST for an invalid page token.
    """
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    entries = await repository.catalog.list_entries(after[0], size + 1, partner_id, q)
    now = clock()
    return pagination.build_page([entry.with_opening_at(now) for entry in entries], size, lambda entry: (entry.id,))


async def check_products(
    repository: Repository,
    clock: Clock,
    partner_id: int,
    lines: Sequence[BasketLine],
    total: int,
    currency: str,
    tip: int = 0,
) -> tuple[Partner, list[PricedLine]]:
    """Return the partner and the priced basket, whose total contains the tip.

    Raises ApiError: PARTNER_UNAVAILABLE, PARTNER_CLOSED, PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, TOTAL_MISMATCH.
    """
    partner = await repository.partners.get(partner_id)
    if partner is None:
        raise ApiError(Reason.PARTNER_UNAVAILABLE)
    offers = await repository.catalog.find_offers(partner_id, [line.product_id for line in lines])
    return partner, check_basket(partner, clock(), lines, offers, total, currency, tip)
