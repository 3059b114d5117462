"""Mapping between domain objects and protobuf messages."""

import re
from dataclasses import asdict
from datetime import time
from typing import Any

import msgspec

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from services.partners.domain.call_policy import Call, CallState
from services.partners.domain.catalog_sorting import CatalogSort, ProductSort
from services.partners.domain.opening_hours import OpeningHours, OpeningPeriod, Weekday
from services.partners.domain.partners import Availability, CatalogEntry, CatalogOffer, Partner, Product
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.rpc.codec import get_codec

OPTIONAL_PARTNER_FIELDS = ("picture_url",)
PARTNER_FIELDS = (
    *("title", "brand", "phone", "email", "address", "api_url", "verified", "enabled"),
    *("delivery_fee", "delivery_fee_currency"),
    *OPTIONAL_PARTNER_FIELDS,
)
"""Fields of a partner that admins set."""

OPTIONAL_PRODUCT_FIELDS = ("picture_url", "category")
PRODUCT_FIELDS = ("title", "description", *OPTIONAL_PRODUCT_FIELDS)
"""Fields of a product that admins set."""

_LOCAL_TIME_PATTERN = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")

FIELD_POINTERS = {
    "periods[].day": "/periods/{}/day",
    "periods[].opens": "/periods/{}/opens",
    "periods[].closes": "/periods/{}/closes",
    "api_url": "/api_url",
    "currency": "/currency",
    "delivery_fee_currency": "/delivery_fee_currency",
    "picture_url": "/picture_url",
    "lines[].product_id": "/items/{}/product_id",
    "total": "/total_amount",
}
"""JSON pointer into the body of a request by field of a partner, price, product or basket."""


def catalog_partner_to_proto(entry: CatalogEntry) -> dict[str, Any]:
    """Return the fields of a `CatalogPartner`; an object for each of the hundreds of products of a page is too slow."""
    return {
        "id": entry.id,
        "title": entry.title,
        "brand": entry.brand,
        "address": entry.address,
        "picture_url": entry.picture_url,
        "products": entry.products,
        "products_truncated": entry.products_truncated,
        "is_open": entry.is_open,
        "delivery_fee": entry.delivery_fee,
        "delivery_fee_currency": entry.delivery_fee_currency,
        "opens_at": None if entry.opens_at is None else {"seconds": int(entry.opens_at.timestamp())},
        "opening_hours": None if entry.opening_hours is None else _list_opening_hours_fields(entry.opening_hours),
    }


def catalog_offer_to_proto(offer: CatalogOffer) -> v1.CatalogProduct:
    """Return a product with its price at a partner."""
    return v1.CatalogProduct(
        id=offer.id,
        title=offer.title,
        description=offer.description,
        picture_url=offer.picture_url,
        category=offer.category,
        price=offer.price,
        currency=offer.currency,
    )


def sort_from_proto[Sort: (CatalogSort, ProductSort)](
    sort_type: type[Sort], sort: v1.CatalogSort | v1.ProductSort | None
) -> Sort:
    """Return the order of a list, by id if it is absent.

    Raises ApiError: INVALID_REQUEST for an unknown enum number.
    """
    try:
        return sort_type["ID" if sort is None else sort.name or ""]
    except KeyError as error:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("sort", "is not a known order")]) from error


def product_to_proto(product: Product) -> v1.Product:
    """Return a product without its version."""
    return v1.Product(
        id=product.id,
        title=product.title,
        description=product.description,
        picture_url=product.picture_url,
        category=product.category,
    )


def partner_to_proto(partner: Partner) -> v1.Partner:
    """Return a partner without its secrets."""
    return v1.Partner(
        id=partner.id,
        title=partner.title,
        brand=partner.brand,
        phone=partner.phone,
        email=partner.email,
        address=partner.address,
        api_url=partner.api_url,
        verified=partner.verified,
        enabled=partner.enabled,
        picture_url=partner.picture_url,
        opening_hours=None if partner.opening_hours is None else opening_hours_to_proto(partner.opening_hours),
        delivery_fee=partner.delivery_fee,
        delivery_fee_currency=partner.delivery_fee_currency,
    )


def opening_hours_to_proto(opening_hours: OpeningHours) -> v1.OpeningHours:
    """Return the opening hours of a partner."""
    fields = _list_opening_hours_fields(opening_hours)
    periods = [v1.OpeningPeriod(**(period | {"day": v1.Weekday(period["day"])})) for period in fields["periods"]]
    return v1.OpeningHours(time_zone=opening_hours.time_zone, periods=periods)


def opening_hours_from_proto(request: v1.SetOpeningHoursRequest) -> OpeningHours:
    """Return the opening hours of a request. Raises ApiError: INVALID_REQUEST."""
    return OpeningHours(request.time_zone, tuple(map(_period_from_proto, range(len(request.periods)), request.periods)))


def _period_from_proto(index: int, period: v1.OpeningPeriod) -> OpeningPeriod:
    if period.day not in Weekday:
        error = FieldError(f"periods[{index}].day", "is not a day of the week")
        raise ApiError(Reason.INVALID_REQUEST, errors=[error])
    opens = _parse_local_time(f"periods[{index}].opens", period.opens)
    return OpeningPeriod(Weekday(period.day), opens, _parse_local_time(f"periods[{index}].closes", period.closes))


def _parse_local_time(field: str, text: str) -> time:
    if not _LOCAL_TIME_PATTERN.fullmatch(text):
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError(field, "must be a time HH:MM")])
    return time.fromisoformat(text)


def _list_opening_hours_fields(opening_hours: OpeningHours) -> dict[str, Any]:
    periods = [
        {"day": int(period.day), "opens": f"{period.opens:%H:%M}", "closes": f"{period.closes:%H:%M}"}
        for period in opening_hours.periods
    ]
    return {"time_zone": opening_hours.time_zone, "periods": periods}


def encode_created_partner(partner: Partner) -> bytes:
    """Encode the response to the creation of a partner, without its webhook secret."""
    return get_codec().encode(v1.CreatePartnerResponse(partner=partner_to_proto(partner), version=partner.version))


def encode_created_product(product: Product) -> bytes:
    """Encode the response to the creation of a product."""
    return get_codec().encode(v1.CreateProductResponse(product=product_to_proto(product), version=product.version))


def availability_to_proto(availability: Availability) -> v1.Availability:
    """Return the price of a product at a partner."""
    return v1.Availability(**asdict(availability))


def call_to_proto(call: Call) -> v1.PartnerCall:
    """Return a call; the body is the JSON that is sent."""
    return v1.PartnerCall(
        id=call.id,
        partner_id=call.partner_id,
        order_id=call.order_id,
        kind=v1.PartnerCallKind[call.kind.name],
        status=v1.PartnerCallStatus[call.state.name],
        attempts=call.attempts,
        body=msgspec.json.encode(call.payload).decode(),
        tries=[v1.PartnerCallTry(**asdict(attempt)) for attempt in call.tries],
        next_at=call.next_at if call.state is CallState.WAITING else None,
        created_at=call.created_at,
    )


def call_state_from_proto(status: v1.PartnerCallStatus) -> CallState:
    """Return the call state. Raises ApiError: INVALID_REQUEST for an unknown enum number."""
    try:
        return CallState[status.name or ""]
    except KeyError as error:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("status", "is not a known status")]) from error
