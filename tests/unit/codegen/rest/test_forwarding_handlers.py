"""Handlers that forward operations: requests, results and headers, and errors of contracts that do not match."""

import ast
from datetime import timedelta
from typing import Any, cast

import pytest

from codegen.contracts import ContractError
from codegen.rest import forwarding_handlers
from generated.problems import Reason
from generated.proto.delivery.notifications import v1 as notifications
from generated.proto.delivery.orders import v1 as orders
from generated.proto.delivery.partners import v1 as partners
from generated.rest.delivery import models
from generated.rest.delivery.forwarding_handlers import (
    ForwardingBanksHandler,
    ForwardingCallbacksHandler,
    ForwardingNotificationsHandler,
    ForwardingPartnersHandler,
    ForwardingProductsHandler,
)
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rest.types import Response
from tests.changed_contracts import Change, find_operation, repository_contracts, with_change
from tests.recording_stub import RecordingStub

ADMIN = Principal("root", "admin", "root@delivery.test", True, now() + timedelta(hours=1))
BANK: dict[str, Any] = {
    "id": "north",
    "title": "North",
    "webcheckout_url": "https://b/pay",
    "api_url": "https://b",
    "active": True,
}
AGENT = notifications.Agent(
    id="a1",
    name="Order updates",
    priority=5,
    providers=[notifications.Provider.FCM],
    preferences=notifications.Preferences(ttl_s=60),
    enabled=True,
)


def make_banks(**responses: Any) -> tuple[ForwardingBanksHandler, RecordingStub]:
    stub = RecordingStub(**responses)
    return ForwardingBanksHandler(cast(Any, stub)), stub


def test_generation_is_deterministic_valid_python() -> None:
    text = forwarding_handlers.generate(repository_contracts())["rest/delivery/forwarding_handlers.py"]
    assert text == forwarding_handlers.generate(repository_contracts())["rest/delivery/forwarding_handlers.py"]
    ast.parse(str(text))


async def test_created_resource_has_location_etag_and_secret() -> None:
    created = orders.CreateBankResponse(bank=orders.Bank(**BANK), version=1, webhook_secret="whsec_x")
    banks, stub = make_banks(create_bank=created)
    response = await banks.create_bank(principal=ADMIN, body=models.CreateBankRequest(**BANK), idempotency_key="k1")
    assert response == Response(
        models.CreatedBank(**BANK, webhook_secret="whsec_x"),
        {"Location": "/api/v1/banks/north", "ETag": '"1"'},
        replayed=False,
    )
    assert stub.requests == [orders.CreateBankRequest(**BANK, idempotency_key="k1")]


async def test_replayed_response_has_no_secret() -> None:
    banks, _ = make_banks(create_bank=orders.CreateBankResponse(bank=orders.Bank(**BANK), version=1, replayed=True))
    response = await banks.create_bank(principal=ADMIN, body=models.CreateBankRequest(**BANK), idempotency_key="k1")
    assert (response.replayed, response.body) == (True, models.CreatedBank(**BANK))


async def test_result_is_field_of_response_with_etag() -> None:
    banks, stub = make_banks(update_bank=orders.UpdateBankResponse(bank=orders.Bank(**BANK), version=3))
    response = await banks.update_bank(
        principal=ADMIN, bank_id="north", body=models.BankPatch(title="North"), if_match='"2"'
    )
    assert response == Response(models.Bank(**BANK), {"ETag": '"3"'})
    assert stub.requests == [orders.UpdateBankRequest(bank_id="north", title="North", versions=[2])]


async def test_result_with_idempotency_key_states_whether_it_is_replayed() -> None:
    banks, stub = make_banks(rotate_bank_secret=orders.RotateBankSecretResponse(webhook_secret="whsec_y"))
    response = await banks.rotate_bank_secret(principal=ADMIN, bank_id="north", idempotency_key="k2")
    assert response == Response(models.NewBankSecret(webhook_secret="whsec_y"), {}, replayed=False)
    assert stub.requests == [orders.RotateBankSecretRequest(bank_id="north", idempotency_key="k2")]


async def test_response_without_required_field_raises_error() -> None:
    banks, _ = make_banks(get_bank=orders.GetBankResponse())
    with pytest.raises(ValueError, match="lacks a required field"):
        await banks.get_bank(principal=ADMIN, bank_id="north")


async def test_page_is_decoded_from_wire() -> None:
    partner: dict[str, Any] = {
        "title": "T",
        "brand": "B",
        "phone": "+1",
        "email": "e",
        "address": "A",
        "api_url": "https://p",
    }
    items = [partners.Partner(id=1, **partner, verified=True)]
    stub = RecordingStub(list_partners=partners.ListPartnersResponse(items=items, next_page_token="next"))
    result = await ForwardingPartnersHandler(cast(Any, stub)).list_partners(principal=ADMIN, page_size=1)
    expected = models.Partner(id=1, **partner, verified=True, enabled=False)
    assert result == models.PartnerPage(items=[expected], next_page_token="next")
    assert stub.requests == [partners.ListPartnersRequest(page_size=1)]


async def test_operation_without_content_returns_none() -> None:
    stub = RecordingStub(delete_product=partners.DeleteProductResponse())
    products: Any = ForwardingProductsHandler(cast(Any, stub))
    assert await products.delete_product(principal=ADMIN, product_id=1) is None
    assert stub.requests == [partners.DeleteProductRequest(product_id=1)]


async def test_created_agent_has_its_own_etag() -> None:
    stub = RecordingStub(create_agent=notifications.CreateAgentResponse(agent=AGENT, etag='"x"'))
    handler = ForwardingNotificationsHandler(cast(Any, stub))
    body = models.CreateAgentRequest(
        name="Order updates",
        priority=5,
        providers=[models.Provider.fcm],
        preferences=models.CreateAgentPreferences(ttl_s=60),
    )
    response = await handler.create_agent(principal=ADMIN, body=body)
    assert response.headers == {"Location": "/api/v1/notification-agents/a1", "ETag": '"x"'}


async def test_error_of_stub_is_raised_unchanged() -> None:
    stub = RecordingStub(get_partner=ApiError(Reason.PARTNER_NOT_FOUND))
    with pytest.raises(ApiError) as raised:
        await ForwardingPartnersHandler(cast(Any, stub)).get_partner(principal=ADMIN, partner_id=9)
    assert raised.value.reason is Reason.PARTNER_NOT_FOUND


async def test_callback_is_forwarded_and_its_receipt_returned() -> None:
    stub = RecordingStub(
        handle_payment_callback=orders.HandlePaymentCallbackResponse(payment_id="p1"),
        handle_ready_callback=partners.HandleReadyCallbackResponse(),
    )
    callbacks: Any = ForwardingCallbacksHandler(cast(Any, stub), cast(Any, stub))
    webhook = SignedRequest("id", "1", "v1,x", b"{}")
    assert await callbacks.payment_callback(webhook=webhook, bank_id="north") == models.PaymentReceipt(payment_id="p1")
    assert await callbacks.partner_ready_callback(webhook=webhook, partner_id=1) is None
    payment, ready = stub.requests
    assert isinstance(payment, orders.HandlePaymentCallbackRequest)
    assert isinstance(ready, partners.HandleReadyCallbackRequest)
    assert (payment.bank_id, payment.body, ready.partner_id, ready.body) == ("north", b"{}", 1, b"{}")


def without_header(operation_id: str, status: str, name: str) -> Change:
    return lambda document: find_operation(document, operation_id)["responses"][status]["headers"].pop(name)


def with_header(operation_id: str, status: str, name: str) -> Change:
    """Return a change that adds a header to a response."""
    header = {name: {"schema": {"type": "string"}}}
    return lambda document: (
        find_operation(document, operation_id)["responses"][status].setdefault("headers", {}).update(header)
    )


def with_result(operation_id: str, status: str, schema: str) -> Change:
    """Return a change of the schema of a result."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return lambda document: find_operation(document, operation_id)["responses"][status].update({"content": content})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without_header("getBank", "200", "ETag"),
            r"getBank: the field version in .* has no property or header",
        ),
        (with_header("getOrder", "200", "ETag"), "operation getOrder: ETag has no field in"),
        (with_header("listBanks", "200", "ETag"), "operation listBanks: ETag has no field in"),
        (with_header("deleteProduct", "204", "ETag"), "operation deleteProduct: ETag has no field in"),
        (with_header("getOrder", "200", "Cache-Control"), "operation getOrder: Cache-Control has no field in"),
        (with_header("rotateBankSecret", "200", "Location"), "Location needs the property id of NewBankSecret"),
        (with_result("getBank", "200", "Order"), r"operation getBank: the result is not .* or one of its fields"),
        (with_result("getBank", "200", "User"), r"operation getBank: the result is not .* or one of its fields"),
        (
            lambda document: find_operation(document, "getBank")["responses"]["200"].pop("content"),
            r"operation getBank: the field bank in .* has no property or header",
        ),
    ],
)
def test_mismatch_of_response_is_rejected(change: Change, message: str) -> None:
    with pytest.raises(ContractError, match=message) as raised:
        forwarding_handlers.generate(with_change(change))
    assert str(raised.value).startswith("delivery.yaml: ")
