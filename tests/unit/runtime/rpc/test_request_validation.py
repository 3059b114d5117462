"""Bounds of the public contract, at the doors between services."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from generated.proto.delivery.notifications.v1 import rpc as agents
from generated.proto.delivery.orders.v1 import rpc as orders
from generated.proto.delivery.partners import v1 as partners
from generated.proto.delivery.partners.v1 import rpc
from services.runtime.core.errors import ApiError
from services.runtime.rpc.request_validation import build_validator
from tests.conftest import ROOT

API = yaml.safe_load((ROOT / "generated/openapi/delivery.yaml").read_text())
PRODUCT = {"title": "Soup", "description": "Warm."}
CREATE, UPDATE, LIST = (
    build_validator(rpc.CREATE_PRODUCT.constraints),
    build_validator(rpc.UPDATE_PRODUCT.constraints),
    build_validator(rpc.LIST_CATALOG.constraints),
)
PRICE, BASKET = build_validator(rpc.SET_AVAILABILITY.constraints), build_validator(rpc.CHECK_PRODUCTS.constraints)


def fields(refusal: pytest.ExceptionInfo[ApiError]) -> list[str]:
    assert refusal.value.reason is Reason.INVALID_REQUEST
    return [error.field for error in refusal.value.errors]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"title": ""}, "/title"),
        ({"title": "a\0"}, "/title"),
        ({"title": "x" * 201}, "/title"),
        ({"picture_url": "https://["}, "/picture_url"),
        ({"picture_url": "http://a.example/1.png"}, "/picture_url"),
        ({"idempotency_key": "a" * 65}, "/idempotency_key"),
        ({"idempotency_key": ""}, "/idempotency_key"),
    ],
)
def test_what_the_public_door_refuses_is_refused_inside(changed: dict[str, Any], wrong: str) -> None:
    CREATE(partners.CreateProductRequest(**PRODUCT))
    with pytest.raises(ApiError) as refused:
        CREATE(partners.CreateProductRequest(**(PRODUCT | changed)))
    assert wrong in fields(refused)


def test_what_need_not_be_there_need_not() -> None:
    LIST(partners.ListCatalogRequest())
    UPDATE(partners.UpdateProductRequest(product_id=1))
    with pytest.raises(ApiError) as refused:
        UPDATE(partners.UpdateProductRequest())
    assert fields(refused) == ["/product_id"]


def test_messages_in_messages_are_held_to_the_schemas_that_mirror_them() -> None:
    PRICE(
        partners.SetAvailabilityRequest(
            partner_id=1, product_id=1, availability=partners.Availability(price=0, currency="USD")
        )
    )
    with pytest.raises(ApiError) as refused:
        PRICE(
            partners.SetAvailabilityRequest(
                partner_id=1, product_id=1, availability=partners.Availability(price=-1, currency="?")
            )
        )
    assert fields(refused) == ["/availability/price", "/availability/currency"]
    items = [partners.BasketItem(product_id=1, quantity=1), partners.BasketItem(product_id=1, quantity=100)]
    with pytest.raises(ApiError) as refused:
        BASKET(partners.CheckProductsRequest(partner_id=1, items=items))
    assert fields(refused) == ["/items/1/quantity"]


@given(st.text(max_size=60))
def test_no_title_comes_in_that_cannot_go_out(title: str) -> None:
    try:
        CREATE(partners.CreateProductRequest(title=title, description="x"))
    except ApiError:
        return
    assert title
    assert "\0" not in title


def test_every_method_that_is_called_like_an_operation_holds_what_it_states() -> None:
    operations = {
        node["operationId"] for item in API["paths"].values() for node in item.values() if "operationId" in node
    }
    stated = {
        method.name: method.constraints
        for servicer in (orders.OrdersServicer, rpc.PartnersServicer, agents.NotificationsServicer)
        for method in servicer.METHODS
    }
    same = {name for name in stated if name[0].lower() + name[1:] in operations}
    assert len(same) > 30
    assert all(stated[name] for name in same)
