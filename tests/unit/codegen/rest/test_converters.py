import ast
import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from codegen.contracts import ContractError, Contracts
from codegen.naming import to_snake_case
from codegen.rest import converters
from generated.proto.delivery.orders.v1 import (
    Bank,
    CreateBankResponse,
    ListOrdersResponse,
    Order,
    OrderItem,
    OrderPartner,
)
from generated.proto.delivery.orders.v1 import OrderStatus as Status
from generated.proto.delivery.orders.v1 import RefundStatus as Refund
from generated.proto.delivery.partners.v1 import ListProductsResponse, Product
from generated.rest.delivery import convert, models, pages, requests
from services.runtime.core.json_schema import compile_schema
from services.runtime.rpc.codec import DecodeError, get_codec
from tests.changed_contracts import repository_contracts, with_change
from tests.conftest import ROOT

type Schemas = dict[str, dict[str, Any]]

NOW = datetime(2024, 2, 29, 10, tzinfo=UTC)


def with_schemas(change: Callable[[Schemas], object]) -> Contracts:
    """Return the contracts with changed schemas."""
    return with_change(lambda document: change(document["components"]["schemas"]))


def with_order_property(name: str, schema: dict[str, Any]) -> Callable[[Schemas], object]:
    """Return a change of one property of `Order`."""
    return lambda schemas: schemas["Order"]["properties"].update({name: schema})


def make_order(**changes: Any) -> Order:
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


def test_generation_is_deterministic_valid_python() -> None:
    text = converters.generate(repository_contracts())["rest/delivery/convert.py"]
    assert text == converters.generate(repository_contracts())["rest/delivery/convert.py"]
    ast.parse(text)


def test_every_schema_with_message_has_typed_converter() -> None:
    for name, schema in repository_contracts().get_schemas("delivery").items():
        functions = [
            function for module in (convert, pages) if (function := getattr(module, to_snake_case(name), None))
        ]
        if "x-message" in schema:
            assert functions or hasattr(requests, f"to_{to_snake_case(name)}"), name
        else:
            assert not functions, name
        assert all(function.__annotations__["return"] is getattr(models, name) for function in functions)


@pytest.mark.parametrize("module", [convert, pages, requests], ids=lambda module: module.__name__)
def test_every_converter_is_used(module: ModuleType) -> None:
    names = {name for name, _ in inspect.getmembers(module, inspect.isfunction) if not name.startswith("_")}
    functions = {name for name in names if getattr(module, name).__module__ == module.__name__}
    alias = module.__name__.rpartition(".")[2]
    files = [*(ROOT / "services").rglob("*.py"), *(ROOT / "generated/rest/delivery").glob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in files]
    used = {name for text in texts for name in re.findall(rf"\b_?{alias}\.(\w+)", text)}
    used |= set(re.findall(r"(?<!def )\b(\w+)\(", inspect.getsource(module)))
    assert functions - used == set()


def test_page_converters_exist_only_for_the_wire_format() -> None:
    assert not {name for name in vars(convert) if name.endswith("_page")}
    assert {"catalog_page", "order_page", "history_page"} <= vars(pages).keys()


def convert_page(message: ListOrdersResponse) -> models.OrderPage:
    return get_codec().decode_with(ListOrdersResponse, get_codec().encode(message), pages.order_page)


def test_converted_message_is_valid_json_of_contract() -> None:
    message = make_order(payment_id="p1", pickup_address="2 Short Street", deliverer_id="user-2", cancel_reason="")
    order = msgspec.to_builtins(convert.order(message))
    schemas = repository_contracts().get_schemas("delivery")

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            return (
                resolve(repository_contracts().resolve_reference("delivery", node))
                if "$ref" in node
                else {k: resolve(v) for k, v in node.items()}
            )
        return [resolve(item) for item in node] if isinstance(node, list) else node

    assert list(compile_schema(resolve(schemas["Order"])).iter_errors(order)) == []
    assert (order["status"], order["refund_status"], order["created_at"]) == ("pending", "none", "2024-02-29T10:00:00Z")
    assert order["partner"] == {"id": 1, "title": "Pizza", "brand": "P"}
    assert order["cancel_reason"] == ""


def test_absent_fields_stay_unset() -> None:
    order = msgspec.to_builtins(convert.order(make_order()))
    assert not order.keys() & {"payment_id", "pickup_address", "deliverer_id", "cancel_reason", "customer_name"}
    assert msgspec.to_builtins(convert_page(ListOrdersResponse(items=[]))) == {"items": []}
    page = convert_page(ListOrdersResponse(items=[make_order()], next_page_token="next"))
    assert (len(page.items), page.next_page_token) == (1, "next")


def test_page_items_equal_single_conversion() -> None:
    orders = [
        make_order(),
        make_order(status=Status.DELIVERED, payment_id="p1", pickup_address="", deliverer_id="user-2", paid_amount=200),
    ]
    assert convert_page(ListOrdersResponse(items=orders)).items == [convert.order(order) for order in orders]


def test_empty_text_in_page_is_unset_only_if_schema_excludes_it() -> None:
    order = convert_page(ListOrdersResponse(items=[make_order(cancel_reason="")])).items[0]
    assert order.cancel_reason == ""
    empty = ListProductsResponse(items=[Product(id=1, picture_url="", category="")])
    full = ListProductsResponse(items=[Product(id=1, picture_url="/p", category="soups")])
    products = [
        get_codec().decode_with(ListProductsResponse, get_codec().encode(page), pages.product_page).items[0]
        for page in (empty, full)
    ]
    assert [(each.picture_url, each.category) for each in products] == [(UNSET, UNSET), ("/p", "soups")]


def test_message_without_required_field_raises_error() -> None:
    with pytest.raises(ValueError, match="lacks a required field"):
        convert.order(make_order(partner=None))
    with pytest.raises(DecodeError, match="lacks required field partner"):
        convert_page(ListOrdersResponse(items=[make_order(partner=None)]))


@pytest.mark.parametrize("status", [status for status in Status if status])
def test_every_enum_value_is_mapped(status: Status) -> None:
    assert status.name is not None
    assert convert.order(make_order(status=status)).status == status.name.lower()


def test_unspecified_enum_value_raises_error() -> None:
    with pytest.raises(KeyError):
        convert.order(make_order(status=Status.UNSPECIFIED))


BANK: dict[str, Any] = {
    "id": "north",
    "title": "North",
    "webcheckout_url": "https://b/pay",
    "api_url": "https://b",
    "active": True,
}


def test_result_of_response_contains_fields_of_nested_message() -> None:
    created = CreateBankResponse(bank=Bank(**BANK), webhook_secret="whsec_x", version=1)
    assert msgspec.to_builtins(convert.created_bank(created)) == BANK | {"webhook_secret": "whsec_x"}
    replayed = CreateBankResponse(bank=Bank(**BANK), version=1, replayed=True)
    assert msgspec.to_builtins(convert.created_bank(replayed)) == BANK
    with pytest.raises(ValueError, match="lacks a required field"):
        convert.created_bank(CreateBankResponse(version=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_order_property("colour", {"type": "string"}), r"Order\.colour has no field"),
        (
            lambda schemas: schemas["Order"]["properties"].pop("currency"),
            r"Order\.currency has no property but a field",
        ),
        (with_order_property("currency", {"type": "integer"}), r"Order\.currency has a different type"),
        (with_order_property("version", {"type": "string"}), r"Order\.version has a different type"),
        (with_order_property("version", {"type": "boolean"}), r"Order\.version has a different type"),
        (
            with_order_property("created_at", {"type": "string"}),
            r"Order\.created_at is not a date-time but a Timestamp",
        ),
        (with_order_property("items", {"type": "string"}), r"Order\.items is not an array but a repeated"),
        (
            with_order_property("partner", {"$ref": "#/components/schemas/BankSummary"}),
            r"Order\.partner does not reference the schema",
        ),
        (lambda schemas: schemas["Order"]["required"].remove("currency"), r"Order\.currency is not required but"),
        (lambda schemas: schemas["OrderStatus"]["enum"].append("eaten"), r"status has different values: eaten"),
        (lambda schemas: schemas["OrderStatus"]["enum"].remove("paid"), r"status has different values: paid"),
        (
            lambda schemas: schemas["CreatedBank"]["properties"].pop("webhook_secret"),
            r"CreatedBank\.webhook_secret has no property but a field",
        ),
        (
            lambda schemas: schemas["CreatedBank"]["properties"].pop("title"),
            r"CreatedBank\.title has no property but a field",
        ),
        (
            lambda schemas: schemas["CreatedBank"]["properties"].update(colour={"type": "string"}),
            r"CreatedBank\.colour has no field",
        ),
    ],
)
def test_mismatch_error_names_both_files(change: Callable[[Schemas], object], message: str) -> None:
    with pytest.raises(ContractError, match=message) as raised:
        converters.generate(with_schemas(change))
    assert str(raised.value).startswith("delivery.yaml: ")
    assert "delivery/orders/v1/orders.proto (" in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda schemas: schemas["Order"].update({"x-message": "delivery.orders.v1.Nothing"}),
        with_order_property("status", {"type": "string", "enum": ["pending"]}),
        with_order_property("status", {"type": "string"}),
    ],
    ids=["unknown message", "inline enum", "no enum"],
)
def test_unsupported_schema_raises_error(change: Callable[[Schemas], object]) -> None:
    with pytest.raises(ContractError, match="Order"):
        converters.generate(with_schemas(change))


@pytest.mark.parametrize(
    "schema",
    [{"type": "array", "items": {"type": "string"}}, {"type": "object"}, {"type": "string", "format": "date-time"}],
    ids=["array", "object", "date-time"],
)
def test_string_field_with_other_schema_type_raises_error(schema: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=r"Order\.currency"):
        converters.generate(with_schemas(with_order_property("currency", schema)))
