"""Converters of REST requests to RPC requests: generated functions, and errors of contracts that do not match."""

import ast
import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from codegen.contracts import ContractError
from codegen.naming import to_snake_case
from codegen.rest import request_converters
from codegen.rest.rpc_methods import iter_forwarded_operations
from generated.proto.delivery.notifications import v1 as notifications
from generated.proto.delivery.orders import v1 as orders
from generated.proto.delivery.partners import v1 as partners
from generated.rest.delivery import handlers, models, requests
from services.runtime.core.errors import ApiError
from services.runtime.outbound.webhooks import SignedRequest
from tests.changed_contracts import Change, Document, find_operation, repository_contracts, with_change

AGENT = {"name": "Order updates", "priority": 5, "providers": ["fcm", "email"], "preferences": {"ttl_s": 60}}
APNS_KEY = {"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "topic": "test.app", "private_key": "PEM"}


def patch_agent(**body: Any) -> notifications.UpdateAgentRequest:
    return requests.update_agent(agent_id="a1", body=convert(body, models.AgentPatch))


def patch_product(if_match: str | None = None, **body: Any) -> partners.UpdateProductRequest:
    return requests.update_product(product_id=1, body=convert(body, models.ProductPatch), if_match=if_match)


def test_generation_is_deterministic_valid_python() -> None:
    text = request_converters.generate(repository_contracts())["rest/delivery/requests.py"]
    assert text == request_converters.generate(repository_contracts())["rest/delivery/requests.py"]
    ast.parse(str(text))


def test_function_has_arguments_of_handler_without_principal() -> None:
    for operation, method in iter_forwarded_operations(repository_contracts()):
        row = handlers.OPERATIONS[operation.id]
        handler = inspect.signature(getattr(row.handler, row.method)).parameters
        function = inspect.signature(getattr(requests, to_snake_case(operation.id)))
        assert function.parameters.keys() == handler.keys() - {"self", "principal"}, operation.id
        assert function.return_annotation.__name__ == method.request.rpartition(".")[2]


def test_no_function_takes_principal() -> None:
    functions = [function for _, function in inspect.getmembers(requests, inspect.isfunction)]
    assert not [each.__name__ for each in functions if "principal" in inspect.signature(each).parameters]


def test_request_schema_with_message_has_function() -> None:
    assert {"to_basket_item", "to_quiet_hours"} <= vars(requests).keys()


@given(st.integers(1, 2**53 - 1), st.integers(1, 99))
def test_basket_item_has_same_values(product_id: int, quantity: int) -> None:
    model = models.BasketItem(product_id=product_id, quantity=quantity)
    assert requests.to_basket_item(model) == partners.BasketItem(product_id=product_id, quantity=quantity)


def test_absent_parameters_are_unset() -> None:
    assert requests.list_orders() == orders.ListOrdersRequest(page_size=20, page_token="", status=None)
    assert requests.list_payments(order_id="o1").bank_id is None


@pytest.mark.parametrize("status", list(models.OrderStatus))
def test_enum_parameter_is_enum_field(status: models.OrderStatus) -> None:
    request = requests.list_orders(page_token="next", status=status)
    assert (request.page_token, request.status) == ("next", orders.OrderStatus[status.name.upper()])


def test_body_is_matched_by_name() -> None:
    body = models.CreateBankRequest(id="north", title="North", webcheckout_url="https://b/pay", api_url="https://b")
    assert requests.create_bank(body=body, idempotency_key="k1") == orders.CreateBankRequest(
        id="north",
        title="North",
        webcheckout_url="https://b/pay",
        api_url="https://b",
        active=True,
        idempotency_key="k1",
    )
    assert requests.create_bank(body=body).idempotency_key is None


def test_nested_objects_and_lists_are_converted() -> None:
    body = AGENT | {"keys": {"apns": APNS_KEY}}
    body["preferences"] = {"ttl_s": 60, "quiet_hours": {"start": "22:00", "end": "07:00"}}
    request = requests.create_agent(body=convert(body, models.CreateAgentRequest))
    assert request.providers == [notifications.Provider.FCM, notifications.Provider.EMAIL]
    assert request.preferences == notifications.Preferences(
        ttl_s=60, quiet_hours=notifications.QuietHours(start="22:00", end="07:00")
    )
    assert request.keys == notifications.AgentKeys(apns=notifications.ApnsKey(**APNS_KEY))


def test_absent_nested_object_is_unset() -> None:
    request = requests.create_agent(body=convert(AGENT, models.CreateAgentRequest))
    assert request.keys is None
    assert request.preferences is not None
    assert request.preferences.quiet_hours is None


def test_merge_patch_distinguishes_absent_from_null() -> None:
    assert patch_product(title="Soup") == partners.UpdateProductRequest(product_id=1, title="Soup")
    assert patch_product(picture_url=None) == partners.UpdateProductRequest(product_id=1, remove=["picture_url"])
    changed = patch_product(picture_url="https://p/1")
    assert (changed.picture_url, changed.remove) == ("https://p/1", [])


def test_nested_merge_patch_distinguishes_absent_from_null() -> None:
    assert patch_agent(priority=9) == notifications.UpdateAgentRequest(agent_id="a1", priority=9)
    request = patch_agent(preferences={"quiet_hours": None, "ttl_s": 9}, keys={"fcm": None, "apns": APNS_KEY})
    assert request.preferences == notifications.PreferencesPatch(ttl_s=9, remove=["quiet_hours"])
    assert request.keys == notifications.AgentKeysPatch(apns=notifications.ApnsKey(**APNS_KEY), remove=["fcm"])
    assert patch_agent(keys={}).keys == notifications.AgentKeysPatch()


@pytest.mark.parametrize(
    ("if_match", "versions"), [(None, []), ("*", []), ('"7"', [7]), ('"zzz", "7"', [7]), ('"7", "8"', [7, 8])]
)
def test_if_match_lists_expected_versions(if_match: str | None, versions: list[int]) -> None:
    assert sorted(patch_product(if_match, title="Soup").versions) == versions


def test_malformed_if_match_raises_error() -> None:
    with pytest.raises(ApiError):
        patch_product("7", title="Soup")


def test_if_match_is_field_of_the_same_name() -> None:
    request = requests.update_agent(agent_id="a1", body=models.AgentPatch(priority=9), if_match='"x"')
    assert request.if_match == '"x"'


def test_signed_request_is_forwarded_unchanged() -> None:
    request = requests.payment_callback(webhook=SignedRequest("id", "1", "v1,x", b'{"a": 1 }'), bank_id="visa")
    assert request == orders.HandlePaymentCallbackRequest(
        bank_id="visa", webhook_id="id", webhook_timestamp="1", webhook_signature="v1,x", body=b'{"a": 1 }'
    )


def with_parameter(operation_id: str, **parameter: Any) -> Change:
    """Return a change that adds a query parameter."""

    def change(document: Document) -> None:
        find_operation(document, operation_id)["parameters"].append({"in": "query"} | parameter)

    return change


def with_property(schema: str, name: str, **definition: Any) -> Change:
    """Return a change of one property of a schema."""
    return lambda document: document["components"]["schemas"][schema]["properties"].update({name: definition})


def without_property(schema: str, name: str) -> Change:
    return lambda document: document["components"]["schemas"][schema]["properties"].pop(name)


def with_optional(schema: str, name: str) -> Change:
    return lambda document: document["components"]["schemas"][schema]["required"].remove(name)


STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_parameter("listCatalog", name="brand", schema=STRING), r"listCatalog\.brand has no field"),
        (with_parameter("updateBank", name="title", schema=STRING), r"updateBank\.title is both a parameter and"),
        (with_property("CreateBankRequest", "colour", type="string"), r"createBank\.colour has no field"),
        (without_property("CreateBankRequest", "title"), r"createBank\.title has no parameter or property but"),
        (with_property("CreateBankRequest", "title", type="integer"), r"createBank\.title has a different type"),
        (with_property("CreateBankRequest", "title", type="object"), r"createBank\.title has a different type"),
        (with_property("CreateBankRequest", "title", type="string", format="date"), r"createBank\.title has a format"),
        (with_optional("SetAvailabilityRequest", "price"), r"setAvailability\.price is not required but the field"),
        (with_optional("CreateProductRequest", "description"), r"createProduct\.description is not required but"),
        (with_property("BankPatch", "title", type=["string", "null"]), r"updateBank\.remove has no field"),
        (with_property("PartnerPatch", "picture_url", type="string"), r"updatePartner\.remove has no parameter"),
        (with_property("PreferencesPatch", "collapse", type="string"), r"PreferencesPatch\.collapse has a different"),
        (
            with_property("CreateAgentRequest", "preferences", type="object"),
            r"createAgent\.preferences is not a schema",
        ),
        (with_property("AgentPatch", "providers", type="string"), r"updateAgent\.providers is not an array"),
        (
            with_property("AgentPatch", "providers", type="array", items={"$ref": "#/components/schemas/Provider"}),
            r"updateAgent\.providers is not required but",
        ),
        (
            lambda document: document["components"]["schemas"]["OrderStatus"]["enum"].append("eaten"),
            r"listOrders\.status has different values: eaten",
        ),
    ],
)
def test_mismatch_error_names_both_files(change: Change, message: str) -> None:
    with pytest.raises(ContractError, match=message) as raised:
        request_converters.generate(with_change(change))
    assert str(raised.value).startswith("delivery.yaml: ")
    assert ".proto (" in str(raised.value)


def test_schema_with_two_messages_is_rejected() -> None:
    change = with_property("CreateAgentRequest", "keys", **{"$ref": "#/components/schemas/CreateAgentPreferences"})
    with pytest.raises(
        ContractError,
        match=r"schema CreateAgentPreferences: the schema is delivery\.notifications\.v1",
    ):
        request_converters.generate(with_change(change))
