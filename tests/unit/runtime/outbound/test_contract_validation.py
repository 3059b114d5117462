"""Validation of requests to third parties, and of their responses, against the published contracts."""

import json
from typing import Any

import httpx
import pytest

from services.runtime.outbound.contract_validation import ThirdPartyContract, load_contract

HEADERS = {
    "content-type": "application/json",
    "webhook-id": "msg_1",
    "webhook-timestamp": "1767225600",
    "webhook-signature": "v1,c2lnbmF0dXJl",
}
REFUND = {"refund_id": "r1", "payment_id": "p1", "amount": 100, "currency": "USD"}
ORDER = {
    "order_id": "o1",
    "items": [{"product_id": 1, "title": "Soup", "quantity": 2}],
    "callback_url": "https://delivery.example/api/v1/callbacks/partners/1",
}


@pytest.fixture
def bank() -> ThirdPartyContract:
    return load_contract("payment-system")


@pytest.fixture
def partner() -> ThirdPartyContract:
    return load_contract("partner-system")


def is_valid_refund(bank: ThirdPartyContract, status: int, body: Any, media_type: str = "application/json") -> bool:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = httpx.Response(status, headers={"content-type": media_type})
    return bank.is_valid_response("/refunds", HEADERS, json.dumps(REFUND).encode(), response, content)


def test_valid_request_is_accepted(bank: ThirdPartyContract, partner: ThirdPartyContract) -> None:
    assert bank.is_valid_request("/refunds", HEADERS, json.dumps(REFUND).encode())
    assert partner.is_valid_request("/orders", HEADERS, json.dumps(ORDER).encode())


@pytest.mark.parametrize(
    "changes", [{"amount": 0}, {"amount": "100"}, {"currency": "usd"}, {"refund_id": ""}, {"payment_id": None}]
)
def test_request_with_invalid_field_is_rejected(bank: ThirdPartyContract, changes: dict[str, Any]) -> None:
    assert not bank.is_valid_request("/refunds", HEADERS, json.dumps(REFUND | changes).encode())


@pytest.mark.parametrize("field", REFUND)
def test_request_without_required_field_is_rejected(bank: ThirdPartyContract, field: str) -> None:
    body = {name: value for name, value in REFUND.items() if name != field}
    assert not bank.is_valid_request("/refunds", HEADERS, json.dumps(body).encode())


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_request_without_signature_header_is_rejected(bank: ThirdPartyContract, header: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != header}
    assert not bank.is_valid_request("/refunds", headers, json.dumps(REFUND).encode())


@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        ("/refund", "application/json", json.dumps(REFUND).encode()),
        ("/refunds", "text/plain", json.dumps(REFUND).encode()),
        ("/refunds", "application/json", b"{"),
        ("/refunds", "application/json", b""),
    ],
)
def test_request_of_other_form_is_rejected(bank: ThirdPartyContract, path: str, media_type: str, body: bytes) -> None:
    assert not bank.is_valid_request(path, HEADERS | {"content-type": media_type}, body)


def test_path_parameter_is_validated(partner: ThirdPartyContract) -> None:
    body = json.dumps({"order_id": "o1"}).encode()
    assert partner.is_valid_request("/orders/o1/cancellation", HEADERS, body)
    assert not partner.is_valid_request(f"/orders/{'o' * 1000}/cancellation", HEADERS, body)


def test_documented_responses_are_accepted(bank: ThirdPartyContract) -> None:
    assert is_valid_refund(bank, 200, REFUND)


@pytest.mark.parametrize(
    ("status", "body", "media_type"),
    [
        (200, REFUND | {"amount": "100"}, "application/json"),
        (200, b"<h1>It works!</h1>", "text/html"),
        (200, b"{", "application/json"),
        (200, b"", "application/json"),
        (299, REFUND, "application/json"),
    ],
)
def test_other_response_is_rejected(bank: ThirdPartyContract, status: int, body: Any, media_type: str) -> None:
    assert not is_valid_refund(bank, status, body, media_type)


def test_contract_is_loaded_once() -> None:
    assert load_contract("payment-system") is load_contract("payment-system")


def test_unknown_contract_raises_file_not_found_error() -> None:
    with pytest.raises(FileNotFoundError):
        load_contract("no-such-contract")
