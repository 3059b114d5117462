"""Generators that report all of their errors, not only the first."""

from collections.abc import Callable
from typing import Any

import pytest

from codegen.contracts import ContractError, Contracts, Files
from codegen.envoy import edge
from codegen.envoy.common import Profile
from codegen.rest import callbacks, converters, forwarding_handlers, handlers, models, request_converters
from codegen.typescript import generate_streams
from tests.changed_contracts import with_change

type Document = dict[str, Any]

PATHS = ("/orders/{order_id}", "/catalog")


def get_properties(document: Document, name: str) -> Document:
    properties: Document = document["components"]["schemas"][name]["properties"]
    return properties


def change_operations(**changes: object) -> Callable[[Document], object]:
    """Return a change of two operations that read."""
    return lambda document: [document["paths"][path]["get"].update(changes) for path in PATHS]


def add_unknown_properties(*schemas: str) -> Callable[[Document], object]:
    """Return a change that adds two properties without a field to each schema."""

    def change(document: Document) -> None:
        for schema in schemas:
            get_properties(document, schema).update(first={"type": "string"}, second={"type": "string"})

    return change


def set_defaults(document: Document) -> None:
    for name in ("birth_date", "phone"):
        get_properties(document, "ProfilePatch")[name]["default"] = "a"


def remove_bodies(document: Document) -> None:
    for path in ("/callbacks/payments/{bank_id}", "/callbacks/partners/{partner_id}/ready"):
        del document["paths"][path]["post"]["requestBody"]


def rename_messages(document: Document) -> None:
    for name in ("Order", "Bank"):
        document["components"]["schemas"][name]["x-message"] = f"delivery.orders.v1.Other{name}"


@pytest.mark.parametrize(
    ("generate", "change", "number"),
    [
        (handlers.generate, change_operations(**{"x-cache-until-event": "no.event"}), 2),
        (request_converters.generate, change_operations(**{"x-rpc": "no.v1.Method"}), 2),
        (request_converters.generate, add_unknown_properties("BankPatch", "ProductPatch"), 4),
        (converters.generate, add_unknown_properties("Order", "Bank"), 4),
        (converters.generate, rename_messages, 2),
        (forwarding_handlers.generate, rename_messages, 2),
        (models.generate, set_defaults, 2),
        (callbacks.generate, remove_bodies, 2),
        (
            generate_streams,
            lambda document: document["paths"]["/orders/{order_id}/events"]["get"].pop("x-final-event"),
            1,
        ),
        (
            lambda contracts: edge.build_listeners(contracts, Profile("development")),
            change_operations(**{"x-rate-limit": {"address": "often"}}),
            2,
        ),
    ],
)
def test_generator_reports_all_errors(
    generate: Callable[[Contracts], Files], change: Callable[[Document], object], number: int
) -> None:
    with pytest.raises(ContractError) as caught:
        generate(with_change(change))
    assert len({*caught.value.messages}) == number, caught.value.messages
