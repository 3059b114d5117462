"""Pictures of partners and products, which the gateway stores."""

import re
from collections.abc import Sequence
from dataclasses import replace

from generated.problems import Reason
from services.partners.domain.partners import Partner, Product
from services.partners.usecases import catalog_events
from services.partners.usecases.partners import lock_partner, save_partner
from services.partners.usecases.ports import CatalogEntityReader, Repository
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal, require_role

_PICTURE_PATH_PATTERN = re.compile(r"(/[A-Za-z0-9._-]+)+")


async def set_partner_picture(
    repository: Repository, clock: Clock, principal: Principal, partner_id: int, picture_url: str
) -> tuple[Partner, str | None]:
    """Set a partner's picture. Return the updated partner and the previous picture URL.

    Raises ApiError: FORBIDDEN, PARTNER_NOT_FOUND, or INVALID_REQUEST if the URL is not a path.
    """
    require_role(principal, "admin")
    _check_picture_path(picture_url)
    async with repository.unit_of_work() as unit:
        before = await lock_partner(unit, partner_id)
        after = await save_partner(unit, clock, before, replace(before, picture_url=picture_url))
    return after, before.picture_url


async def set_product_picture(
    repository: Repository, clock: Clock, principal: Principal, product_id: int, picture_url: str
) -> tuple[Product, str | None]:
    """Set a product's picture. Return the updated product and the previous picture URL.

    Raises ApiError: FORBIDDEN, PRODUCT_NOT_FOUND, or INVALID_REQUEST if the URL is not a path.
    """
    require_role(principal, "admin")
    _check_picture_path(picture_url)
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


async def list_partner_pictures(repository: Repository, size: int, token: str) -> Page[tuple[int, str]]:
    """Return a page of partner ids and picture URLs, by partner id."""
    return await _list_pictures(repository.partners, size, token)


async def list_product_pictures(repository: Repository, size: int, token: str) -> Page[tuple[int, str]]:
    """Return a page of product ids and picture URLs, by product id."""
    return await _list_pictures(repository.products, size, token)


async def _list_pictures[Entity](reader: CatalogEntityReader[Entity], size: int, token: str) -> Page[tuple[int, str]]:
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    rows: Sequence[tuple[int, str]] = await reader.list_pictures(after[0], size + 1)
    return pagination.build_page(rows, size, lambda row: (row[0],))


def _check_picture_path(picture_url: str) -> None:
    if not _PICTURE_PATH_PATTERN.fullmatch(picture_url):
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("picture_url", "must be a path of the public API")])
