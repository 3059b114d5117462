"""Mapping between domain objects and protobuf messages."""

from dataclasses import asdict
from typing import Any

import msgspec

from generated.proto.delivery.partners import v1
from services.partners.domain.call_policy import Call, CallState
from services.partners.domain.partners import Availability, CatalogEntry, Partner, Product
from services.runtime.rpc.codec import get_codec

FIELD_POINTERS = {
    "api_url": "/api_url",
    "currency": "/currency",
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
    }


def product_to_proto(product: Product) -> v1.Product:
    """Return a product without its version."""
    return v1.Product(
        id=product.id, title=product.title, description=product.description, picture_url=product.picture_url
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
    )


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
