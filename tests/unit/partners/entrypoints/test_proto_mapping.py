"""Mapping between domain objects of partners and protobuf messages."""

import json
from dataclasses import replace
from datetime import time

import pytest

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from services.partners.domain.call_policy import Attempt, CallKind, CallState
from services.partners.domain.catalog_sorting import CatalogSort, ProductSort
from services.partners.domain.opening_hours import OpeningPeriod, Weekday
from services.partners.domain.partners import Availability, CatalogEntry
from services.partners.entrypoints import proto_mapping
from services.runtime.rpc.codec import get_codec
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.partners.fakes import BOWL, CALL, LEMONADE, PRICE


def test_partner_message_has_no_secret() -> None:
    partner = replace(BOWL, old_secret=b"old", picture_url="/p", delivery_fee=250, delivery_fee_currency="EUR")
    message = proto_mapping.partner_to_proto(partner)
    for name in ("id", *proto_mapping.PARTNER_FIELDS):
        assert getattr(message, name) == getattr(partner, name), name
    encoded = proto_mapping.encode_created_partner(partner)
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
        "category": "drinks",
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


def build_hours_request(*periods: tuple[int, str, str]) -> v1.SetOpeningHoursRequest:
    return v1.SetOpeningHoursRequest(
        partner_id=1,
        time_zone="Europe/Berlin",
        periods=[v1.OpeningPeriod(day=v1.Weekday(day), opens=opens, closes=closes) for day, opens, closes in periods],
    )


def test_opening_hours_are_converted_both_ways() -> None:
    request = build_hours_request((1, "10:00", "22:00"), (7, "18:30", "02:00"))
    hours = proto_mapping.opening_hours_from_proto(request)
    assert hours.periods[1] == OpeningPeriod(Weekday.SUNDAY, time(18, 30), time(2))
    message = proto_mapping.opening_hours_to_proto(hours)
    assert message == v1.OpeningHours(time_zone="Europe/Berlin", periods=request.periods)
    assert proto_mapping.partner_to_proto(replace(BOWL, opening_hours=hours)).opening_hours == message


@pytest.mark.parametrize(
    ("period", "field"),
    [
        ((0, "10:00", "22:00"), "periods[1].day"),
        ((8, "10:00", "22:00"), "periods[1].day"),
        ((1, "24:00", "22:00"), "periods[1].opens"),
        ((1, "10:00:30", "22:00"), "periods[1].opens"),
        ((1, "10:00", ""), "periods[1].closes"),
        ((1, "10:00", "2:00"), "periods[1].closes"),
    ],
)
def test_invalid_opening_period_is_rejected(period: tuple[int, str, str], field: str) -> None:
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        proto_mapping.opening_hours_from_proto(build_hours_request((1, "10:00", "22:00"), period))
    assert [error.field for error in raised.value.errors] == [field]


def test_opening_is_encoded_in_catalog_entry() -> None:
    hours = proto_mapping.opening_hours_from_proto(build_hours_request((1, "10:00", "22:00")))
    entry = CatalogEntry(
        1,
        "Green Bowl",
        "Bowls",
        "1 Market Square",
        None,
        [],
        products_truncated=False,
        opening_hours=hours,
        is_open=False,
        opens_at=NOW,
        delivery_fee=250,
        delivery_fee_currency="EUR",
    )
    encoded = get_codec().encode_fields(
        v1.ListCatalogResponse, items=[proto_mapping.catalog_partner_to_proto(entry)], next_page_token=None
    )
    (partner,) = get_codec().decode(v1.ListCatalogResponse, encoded.data).items
    assert (partner.is_open, partner.opens_at) == (False, NOW)
    assert (partner.delivery_fee, partner.delivery_fee_currency) == (250, "EUR")
    assert partner.opening_hours == proto_mapping.opening_hours_to_proto(hours)


def test_sort_is_by_id_if_absent_and_known_otherwise() -> None:
    assert proto_mapping.sort_from_proto(CatalogSort, None) is CatalogSort.ID
    assert proto_mapping.sort_from_proto(CatalogSort, v1.CatalogSort.ALPHABETICAL) is CatalogSort.ALPHABETICAL
    for sort in ProductSort:
        assert proto_mapping.sort_from_proto(ProductSort, v1.ProductSort[sort.name]) is sort
    for unknown in (v1.ProductSort.UNSPECIFIED, v1.ProductSort(99)):
        with raises_reason(Reason.INVALID_REQUEST):
            proto_mapping.sort_from_proto(ProductSort, unknown)
