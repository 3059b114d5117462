"""Mapping between domain objects of partners and protobuf messages."""

import json
from dataclasses import replace

import pytest

from generated.proto.delivery.partners import v1
from services.partners.domain.call_policy import Attempt, CallKind, CallState
from services.partners.domain.partners import Availability, CatalogEntry
from services.partners.entrypoints import proto_mapping
from services.runtime.rpc.codec import get_codec
from tests.unit.fake_transactions import NOW
from tests.unit.partners.fakes import BOWL, CALL, LEMONADE, PRICE


def test_partner_message_has_no_secret() -> None:
    message = proto_mapping.partner_to_proto(replace(BOWL, old_secret=b"old"))
    for name in ("id", "title", "brand", "phone", "email", "address", "api_url", "verified", "enabled"):
        assert getattr(message, name) == getattr(BOWL, name), name
    encoded = proto_mapping.encode_created_partner(BOWL)
    assert b"encrypted" not in encoded
    response = get_codec().decode(v1.CreatePartnerResponse, encoded)
    assert (response.partner, response.version, response.webhook_secret) == (message, 1, None)


@pytest.mark.parametrize("picture_url", [None, "/api/v1/pictures/x"])
def test_product_message_contains_product(picture_url: str | None) -> None:
    product = replace(LEMONADE, picture_url=picture_url, version=3)
    response = get_codec().decode(v1.CreateProductResponse, proto_mapping.encode_created_product(product))
    assert response.product == v1.Product(id=7, title="Lemonade", description="Cold.", picture_url=picture_url)
    assert response.version == 3


@pytest.mark.parametrize("availability", [PRICE, Availability(0, "EUR", active=False)])
def test_availability_message_contains_price(availability: Availability) -> None:
    message = proto_mapping.availability_to_proto(availability)
    assert Availability(message.price, message.currency, message.active) == availability


@pytest.mark.parametrize("state", CallState)
@pytest.mark.parametrize("kind", CallKind)
def test_call_message_shows_next_attempt_while_waiting(kind: CallKind, state: CallState) -> None:
    call = replace(CALL, kind=kind, state=state, payload={"title": "Crêpe"}, tries=(Attempt(NOW, "503", 12),))
    message = proto_mapping.call_to_proto(call)
    assert (message.kind.name, message.status.name) == (kind.name, state.name)
    assert (message.next_at is not None) == (state is CallState.WAITING)
    assert json.loads(message.body) == {"title": "Crêpe"}
    assert message.tries == [v1.PartnerCallTry(at=NOW, answer="503", took_ms=12)]
    assert (message.id, message.partner_id, message.order_id, message.attempts) == ("c1", 1, "o1", 1)


def test_catalog_entry_is_encoded_without_message_objects() -> None:
    product = {
        "id": 7,
        "title": "Lemonade",
        "description": "",
        "picture_url": None,
        "price": 100,
        "currency": "USD",
    }
    entry = CatalogEntry(1, "Green Bowl", "Bowls", "1 Market Square", "/p", [product], products_truncated=True)
    encoded = get_codec().encode_fields(
        v1.ListCatalogResponse, items=[proto_mapping.catalog_partner_to_proto(entry)], next_page_token=None
    )
    (partner,) = get_codec().decode(v1.ListCatalogResponse, encoded.data).items
    assert (partner.id, partner.title, partner.products_truncated) == (1, "Green Bowl", True)
    assert [(each.id, each.price, each.currency) for each in partner.products] == [(7, 100, "USD")]
