"""Postal addresses of the contract: those of some countries are short or have characters of any script."""

from typing import Any

import msgspec
import pytest

from generated.rest.delivery import models

PARTNER = {
    "title": "Green Bowl",
    "brand": "Bowls",
    "phone": "+12025550101",
    "email": "bowl@delivery.test",
    "api_url": "https://kitchen.example/api",
}
BASKET = {"partner_id": 1, "items": [{"product_id": 7, "quantity": 2}], "total_amount": 200, "bank_id": "visa"}

REQUESTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "address": (models.CreatePartnerRequest, PARTNER),
    "changed address": (models.PartnerPatch, {}),
    "pickup_address": (models.ReadyCallback, {"order_id": "o1"}),
    "delivery_address": (models.CheckOrderRequest, BASKET),
    "street": (models.CheckOrderAddress, {"city": "Å", "country": "NO"}),
}
"""Model of each request with a postal address, and its other required fields, by the name of the field."""


@pytest.mark.parametrize(("field", "request_"), REQUESTS.items(), ids=REQUESTS)
@pytest.mark.parametrize("address", ["5 Rue", "北京路1号", "Å", "Ø 1"])
def test_short_postal_address_is_valid(field: str, request_: tuple[Any, dict[str, Any]], address: str) -> None:
    model, others = request_
    name = field.rpartition(" ")[2]
    body = msgspec.convert(others | {name: address}, model)
    assert getattr(body, name) == address
