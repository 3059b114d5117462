"""Validation of RPC requests against the constraints of the public contract."""

from dataclasses import fields
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from generated.proto.delivery.notifications import v1 as notifications
from generated.proto.delivery.notifications.v1 import rpc as notifications_rpc
from generated.proto.delivery.orders.v1 import CompleteOrderRequest
from generated.proto.delivery.orders.v1 import rpc as orders
from generated.proto.delivery.partners import v1 as partners
from generated.proto.delivery.partners.v1 import rpc
from services.runtime.core.errors import ApiError
from services.runtime.rpc.request_validation import build_validator
from tests.conftest import ROOT

API = yaml.load((ROOT / "generated/openapi/delivery.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
PRODUCT = {"title": "Soup", "description": "Warm."}
validate_create = build_validator(rpc.CREATE_PRODUCT.constraints)
validate_update = build_validator(rpc.UPDATE_PRODUCT.constraints)
validate_list = build_validator(rpc.LIST_CATALOG.constraints)
validate_availability = build_validator(rpc.SET_AVAILABILITY.constraints)
validate_agent_update = build_validator(notifications_rpc.UPDATE_AGENT.constraints)
validate_check = build_validator(rpc.CHECK_PRODUCTS.constraints)


def field_pointers(error: pytest.ExceptionInfo[ApiError]) -> list[str]:
    assert error.value.reason is Reason.INVALID_REQUEST
    return [field_error.field for field_error in error.value.errors]


@pytest.mark.parametrize(
    ("changes", "field"),
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
def test_create_product_with_value_rejected_by_rest_is_rejected(changes: dict[str, Any], field: str) -> None:
    validate_create(partners.CreateProductRequest(**PRODUCT))
    with pytest.raises(ApiError) as raised:
        validate_create(partners.CreateProductRequest(**(PRODUCT | changes)))
    assert field in field_pointers(raised)


def test_request_with_absent_optional_fields_is_valid() -> None:
    validate_list(partners.ListCatalogRequest())
    validate_update(partners.UpdateProductRequest(product_id=1))
    with pytest.raises(ApiError) as raised:
        validate_update(partners.UpdateProductRequest())
    assert field_pointers(raised) == ["/product_id"]


def test_nested_message_is_validated_by_its_schema() -> None:
    quiet_hours = notifications.QuietHours(start="22:00", end="07:00")
    patch = notifications.PreferencesPatch(quiet_hours=quiet_hours, ttl_s=1)
    validate_agent_update(notifications.UpdateAgentRequest(agent_id="a1", preferences=patch))
    patch = notifications.PreferencesPatch(quiet_hours=notifications.QuietHours(start="24:00", end="07:00"), ttl_s=0)
    with pytest.raises(ApiError) as raised:
        validate_agent_update(notifications.UpdateAgentRequest(agent_id="a1", preferences=patch))
    assert field_pointers(raised) == ["/preferences/quiet_hours/start", "/preferences/ttl_s"]
    items = [partners.BasketItem(product_id=1, quantity=1), partners.BasketItem(product_id=1, quantity=100)]
    with pytest.raises(ApiError) as raised:
        validate_check(partners.CheckProductsRequest(partner_id=1, items=items))
    assert field_pointers(raised) == ["/items/1/quantity"]


def test_property_with_default_is_required_in_rpc() -> None:
    request = partners.SetAvailabilityRequest(partner_id=1, product_id=1, price=0, currency="USD", active=False)
    validate_availability(request)
    request.price, request.currency = -1, ""
    with pytest.raises(ApiError) as raised:
        validate_availability(request)
    assert field_pointers(raised) == ["/price", "/currency"]


def test_only_nullable_properties_can_be_removed() -> None:
    validate_update(partners.UpdateProductRequest(product_id=1, remove=["picture_url"]))
    with pytest.raises(ApiError) as raised:
        validate_update(partners.UpdateProductRequest(product_id=1, remove=["picture_url", "title"]))
    assert field_pointers(raised) == ["/remove/1"]
    keys = notifications.AgentKeysPatch(remove=["fcm_key"])
    with pytest.raises(ApiError) as raised:
        validate_agent_update(notifications.UpdateAgentRequest(agent_id="a1", keys=keys))
    assert field_pointers(raised) == ["/keys/remove/0"]


def test_method_in_extension_has_constraints_of_operation() -> None:
    with pytest.raises(ApiError) as raised:
        build_validator(orders.COMPLETE_ORDER.constraints)(CompleteOrderRequest(order_id="a b"))
    assert field_pointers(raised) == ["/order_id"]


@given(st.text(max_size=60))
def test_accepted_title_is_valid_in_responses(title: str) -> None:
    try:
        validate_create(partners.CreateProductRequest(title=title, description="x"))
    except ApiError:
        return
    assert title
    assert "\0" not in title


def test_rpc_method_named_like_operation_has_constraints() -> None:
    operations = {
        node["operationId"] for item in API["paths"].values() for node in item.values() if "operationId" in node
    }
    methods = {
        method.name: method
        for servicer in (orders.OrdersServicer, rpc.PartnersServicer, notifications_rpc.NotificationsServicer)
        for method in servicer.METHODS
        if method.name[0].lower() + method.name[1:] in operations
    }
    assert len(methods) > 30
    assert [name for name, method in methods.items() if fields(method.request) and not method.constraints] == []
