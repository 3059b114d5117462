import ast
import copy
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen import contracts
from codegen.contracts import ContractError, Contracts
from codegen.naming import snake
from codegen.rest import converters
from deploy.local.mesh_config import ROOT
from generated.proto.delivery.orders.v1 import ListOrdersResponse, Order, OrderItem, OrderPartner
from generated.proto.delivery.orders.v1 import OrderStatus as Status
from generated.proto.delivery.orders.v1 import RefundStatus as Refund
from generated.proto.delivery.partners.v1 import BasketItem
from generated.rest.delivery import convert as written
from generated.rest.delivery import models, pages
from services.runtime.core.json_schema import compile_schema
from services.runtime.rpc.codec import DecodeError, get_codec

type Schemas = dict[str, dict[str, Any]]

NOW = datetime(2024, 2, 29, 10, tzinfo=UTC)


@cache
def real() -> Contracts:
    return contracts.load(ROOT)


def changed(change: Callable[[Schemas], object]) -> Contracts:
    """The contracts with other schemas."""
    made = Contracts(openapi=copy.deepcopy(real().openapi), protos=real().protos)
    change(made.schemas("delivery"))
    return made


def order_with(name: str, schema: dict[str, Any]) -> Callable[[Schemas], object]:
    """A change of one property of `Order`."""
    return lambda schemas: schemas["Order"]["properties"].update({name: schema})


def an_order(**changes: Any) -> Order:
    fields: dict[str, Any] = {
        "id": "order-1",
        "status": Status.PENDING,
        "customer_id": "user-1",
        "partner": OrderPartner(id=1, title="Pizza", brand="P"),
        "items": [OrderItem(product_id=1, title="Margherita", quantity=2, price=100)],
        "total_amount": 200,
        "currency": "USD",
        "refund_status": Refund.NONE,
        "bank_id": "visa",
        "delivery_address": "1 Long Street",
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Order(**(fields | changes))


def test_generation_is_deterministic_and_is_python() -> None:
    text = converters.generate(real())["rest/delivery/convert.py"]
    assert text == converters.generate(real())["rest/delivery/convert.py"]
    ast.parse(text)


def test_every_schema_that_mirrors_a_message_has_a_typed_converter() -> None:
    for name, schema in real().schemas("delivery").items():
        found = [function for module in (written, pages) if (function := getattr(module, snake(name), None))]
        assert bool(found) == ("x-message" in schema), name
        assert all(function.__annotations__["return"] is getattr(models, name) for function in found)


def test_pages_are_read_off_the_wire_alone() -> None:
    assert not {name for name in vars(written) if name.endswith("_page")}
    assert {"catalog_page", "order_page", "history_page"} <= vars(pages).keys()


def test_only_what_requests_bring_is_converted_back() -> None:
    back = {name for name in vars(written) if name.startswith("to_")}
    assert back == {"to_basket_item", "to_quiet_hours"}


def order_page(message: ListOrdersResponse) -> models.OrderPage:
    return get_codec().decode_with(ListOrdersResponse, get_codec().encode(message), pages.order_page)


def test_a_message_becomes_json_that_the_contract_allows() -> None:
    message = an_order(payment_id="p1", pickup_address="2 Short Street", deliverer_id="user-2", cancel_reason="")
    made = msgspec.to_builtins(written.order(message))
    schemas = real().schemas("delivery")

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            return (
                resolved(real().resolve_reference("delivery", node))
                if "$ref" in node
                else {k: resolved(v) for k, v in node.items()}
            )
        return [resolved(item) for item in node] if isinstance(node, list) else node

    assert list(compile_schema(resolved(schemas["Order"])).iter_errors(made)) == []
    assert (made["status"], made["refund_status"], made["created_at"]) == ("pending", "none", "2024-02-29T10:00:00Z")
    assert made["partner"] == {"id": 1, "title": "Pizza", "brand": "P"}
    assert made["cancel_reason"] == ""


def test_what_is_absent_stays_absent() -> None:
    made = msgspec.to_builtins(written.order(an_order()))
    assert not made.keys() & {"payment_id", "pickup_address", "deliverer_id", "cancel_reason", "customer_name"}
    assert msgspec.to_builtins(order_page(ListOrdersResponse(items=[]))) == {"items": []}
    page = order_page(ListOrdersResponse(items=[an_order()], next_page_token="next"))
    assert (len(page.items), page.next_page_token) == (1, "next")


def test_an_order_on_a_page_is_what_it_is_alone() -> None:
    orders = [
        an_order(),
        an_order(status=Status.DELIVERED, payment_id="p1", pickup_address="", deliverer_id="user-2", paid_amount=200),
    ]
    assert order_page(ListOrdersResponse(items=orders)).items == [written.order(order) for order in orders]


def test_a_message_without_a_required_part_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks a required field"):
        written.order(an_order(partner=None))
    with pytest.raises(DecodeError, match="lacks required field partner"):
        order_page(ListOrdersResponse(items=[an_order(partner=None)]))


@pytest.mark.parametrize("status", [status for status in Status if status])
def test_every_value_of_an_enum_has_its_word(status: Status) -> None:
    assert status.name is not None
    assert written.order(an_order(status=status)).status == status.name.lower()


def test_a_value_that_was_never_set_is_an_error() -> None:
    with pytest.raises(KeyError):
        written.order(an_order(status=Status.UNSPECIFIED))


@given(st.integers(1, 2**53 - 1), st.integers(1, 99))
def test_a_request_comes_back_as_it_went(product_id: int, quantity: int) -> None:
    model = models.BasketItem(product_id=product_id, quantity=quantity)
    assert written.to_basket_item(model) == BasketItem(product_id=product_id, quantity=quantity)
    assert written.basket_item(written.to_basket_item(model)) == model


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (order_with("colour", {"type": "string"}), r"Order\.colour has no field"),
        (
            lambda schemas: schemas["Order"]["properties"].pop("currency"),
            r"Order\.currency is no property, but a field",
        ),
        (order_with("currency", {"type": "integer"}), r"Order\.currency has another type"),
        (order_with("version", {"type": "string"}), r"Order\.version has another type"),
        (order_with("version", {"type": "boolean"}), r"Order\.version has another type"),
        (order_with("created_at", {"type": "string"}), r"Order\.created_at is no date-time, but a Timestamp"),
        (order_with("items", {"type": "string"}), r"Order\.items is no array, but repeated"),
        (order_with("partner", {"$ref": "#/components/schemas/BankSummary"}), r"Order\.partner does not mirror"),
        (lambda schemas: schemas["Order"]["required"].remove("currency"), r"Order\.currency is not required, but"),
        (lambda schemas: schemas["OrderStatus"]["enum"].append("eaten"), r"status has other values: eaten"),
        (lambda schemas: schemas["OrderStatus"]["enum"].remove("paid"), r"status has other values: paid"),
        (lambda schemas: schemas["Order"].update(additionalProperties=False), r"Order\.\w+ is not a plain value"),
    ],
)
def test_what_does_not_pair_up_is_named_with_both_files(change: Callable[[Schemas], object], complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint) as refused:
        converters.generate(changed(change))
    assert str(refused.value).startswith("delivery.yaml: ")
    assert "delivery/orders/v1/orders.proto (" in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda schemas: schemas["Order"].update({"x-message": "delivery.orders.v1.Nothing"}),
        order_with("status", {"type": "string", "enum": ["pending"]}),
        order_with("status", {"type": "string"}),
    ],
    ids=["message", "inline enum", "no enum"],
)
def test_what_the_generator_cannot_follow_is_said(change: Callable[[Schemas], object]) -> None:
    with pytest.raises(ContractError, match="Order"):
        converters.generate(changed(change))


@pytest.mark.parametrize(
    "schema",
    [{"type": "array", "items": {"type": "string"}}, {"type": "object"}, {"type": "string", "format": "date-time"}],
    ids=["array", "object", "date-time"],
)
def test_a_string_field_is_nothing_else(schema: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=r"Order\.currency"):
        converters.generate(changed(order_with("currency", schema)))
