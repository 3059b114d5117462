"""What customers see of partners, and what a basket costs."""

import re
from collections.abc import Sequence

import msgspec

from generated.problems import Reason
from generated.rest.delivery.models import ReadyCallback
from services.partners.domain.partners import BasketLine, Partner, PricedLine, Product, price_basket
from services.partners.usecases import catalog_events, webhook_secrets
from services.partners.usecases.ports import CatalogEntry, Repository
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.pagination import Page
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.storage.encryption import SecretBox

_PICTURE_PATH_PATTERN = re.compile(r"(/[A-Za-z0-9._-]+)+")


async def list_catalog(
    repository: Repository, size: int, token: str, partner_id: int | None, q: str | None
) -> Page[CatalogEntry]:
    """A page of the partners that sell something now, by id. Refuses INVALID_REQUEST for a token that is none."""
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    return pagination.build_page(
        await repository.list_catalog(after[0], size + 1, partner_id, q), size, lambda entry: (entry.id,)
    )


async def set_product_picture(
    repository: Repository, clock: Clock, product_id: int, picture_url: str
) -> tuple[Product, str | None]:
    """The product as it is now, and where its picture was. Refuses PRODUCT_NOT_FOUND and INVALID_REQUEST."""
    if not _PICTURE_PATH_PATTERN.fullmatch(picture_url):
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("/picture_url", "is no path of the public API")])
    async with repository.unit_of_work() as unit:
        found = await unit.set_product_picture(product_id, picture_url)
        if found is None:
            raise ApiError(Reason.PRODUCT_NOT_FOUND)
        if found[1] != picture_url:
            await unit.publish(catalog_events.product_changed_event(product_id, clock()))
    return found


async def list_product_pictures(repository: Repository, size: int, token: str) -> Page[tuple[int, str]]:
    """A page of pictures by product."""
    after = pagination.decode_page_token(token, tuple[int]) or (0,)
    return pagination.build_page(
        await repository.list_product_pictures(after[0], size + 1), size, lambda row: (row[0],)
    )


async def check_products(
    repository: Repository, partner_id: int, lines: Sequence[BasketLine], total: int, currency: str
) -> tuple[Partner, list[PricedLine]]:
    """Prices a basket. Refuses PARTNER_UNAVAILABLE and what `domain.price` refuses."""
    partner = await repository.get_partner(partner_id)
    if partner is None or not partner.is_open:
        raise ApiError(Reason.PARTNER_UNAVAILABLE)
    offers = await repository.find_offers(partner_id, [line.product_id for line in lines])
    return partner, price_basket(lines, offers, total, currency)


async def verify_ready_callback(
    repository: Repository, secret_box: SecretBox, clock: Clock, partner_id: int, request: SignedRequest
) -> ReadyCallback:
    """What a genuine callback says. Refuses SIGNATURE_INVALID, and ORDER_NOT_FOUND for another partner's order."""
    partner = await repository.get_partner(partner_id)
    known = [] if partner is None else webhook_secrets.active_secrets(partner, secret_box, clock())
    webhooks.verify_signature(request, known)
    callback = msgspec.json.decode(request.body, type=ReadyCallback)
    if not await repository.was_sent_to_partner(partner_id, callback.order_id):
        raise ApiError(Reason.ORDER_NOT_FOUND)
    return callback
