"""Functions that both directions of conversion share; the matching itself is tested with its generators."""

from typing import Any

import pytest

from codegen.contracts import ContractError
from codegen.rest.message_fields import (
    get_module_alias,
    list_enum_members,
    list_page_responses,
    list_schema_message_pairs,
    remove_null,
)
from tests.changed_contracts import repository_contracts, with_change

POOL = repository_contracts().protos.pool
STRING = {"type": "string"}
NAME = {"$ref": "#/components/schemas/Name"}


@pytest.mark.parametrize(
    ("schema", "expected", "nullable"),
    [
        ({"type": ["string", "null"], "maxLength": 9}, {"type": "string", "maxLength": 9}, True),
        ({"type": ["null", "string"]}, STRING, True),
        ({"anyOf": [NAME, {"type": "null"}]}, NAME, True),
        ({"anyOf": [{"type": "null"}, NAME]}, NAME, True),
        (STRING, STRING, False),
        (NAME, NAME, False),
        ({"anyOf": [NAME, STRING]}, {"anyOf": [NAME, STRING]}, False),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer"]}, False),
    ],
)
def test_null_is_separated_from_other_values(schema: dict[str, Any], expected: dict[str, Any], nullable: bool) -> None:
    assert remove_null(schema) == (expected, nullable)


def test_enum_members_omit_prefix_and_unspecified_value() -> None:
    enum = POOL.FindEnumTypeByName("delivery.notifications.v1.Provider")
    assert list_enum_members(enum) == {"fcm": "FCM", "apns": "APNS", "email": "EMAIL"}


def test_page_is_response_with_items() -> None:
    pages = list_page_responses(repository_contracts())
    assert "delivery.orders.v1.ListOrdersResponse" in pages
    assert not pages & {"delivery.orders.v1.GetOrderResponse", "delivery.partners.v1.CheckProductsResponse"}


def test_module_alias_contains_service_and_version() -> None:
    assert get_module_alias("delivery.orders.v1") == "orders_v1"


def test_unknown_message_of_schema_is_rejected() -> None:
    changed = with_change(
        lambda document: document["components"]["schemas"]["Order"].update({"x-message": "delivery.orders.v1.Nothing"})
    )
    with pytest.raises(ContractError, match="schema Order: x-message is not a message"):
        list_schema_message_pairs(changed)


@pytest.mark.parametrize("schema", [{"type": "string", "enum": ["a"]}, {"allOf": []}, {"additionalProperties": STRING}])
def test_message_of_a_schema_without_properties_is_rejected(schema: dict[str, Any]) -> None:
    changed = with_change(
        lambda document: document["components"]["schemas"].update(
            {"Order": schema | {"x-message": "delivery.orders.v1.Order"}}
        )
    )
    with pytest.raises(ContractError, match="schema Order: x-message is not beside `properties`"):
        list_schema_message_pairs(changed)


def test_schema_of_any_value_is_an_empty_one() -> None:
    any_value: Any = True
    assert remove_null(any_value) == ({}, False)
    assert repository_contracts().resolve_reference("delivery", any_value) == {}
