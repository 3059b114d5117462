"""Validation of requests to third parties, and of their responses, against the published contracts.

Every result is compared with that of openapi-core.
"""

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from services.runtime.outbound.contract_validation import ThirdPartyContract, load_contract
from tests.openapi_core_contract import OpenApiCoreContract

HEADERS = {
    "content-type": "application/json",
    "webhook-id": "msg_1",
    "webhook-timestamp": "1767225600",
    "webhook-signature": "v1,c2lnbmF0dXJl",
}
REFUND: dict[str, Any] = {"refund_id": "r1", "payment_id": "p1", "amount": 100, "currency": "USD"}
ORDER: dict[str, Any] = {
    "order_id": "o1",
    "items": [{"product_id": 1, "title": "Soup", "quantity": 2}],
    "callback_url": "https://delivery.example/api/v1/callbacks/partners/1",
}


def encode(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@dataclass(frozen=True)
class ComparedContract:
    """A contract whose results are compared with those of openapi-core."""

    contract: ThirdPartyContract
    oracle: OpenApiCoreContract

    def is_valid_request(self, path: str, headers: dict[str, str], body: object) -> bool:
        result = self.contract.is_valid_request(path, headers, encode(body))
        assert result is self.oracle.is_valid_request(path, headers, encode(body))
        return result

    def is_valid_response(self, path: str, status: int, body: object, **headers: str) -> bool:
        response = httpx.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})
        result = self.contract.is_valid_response(path, response, encode(body))
        assert result is self.oracle.is_valid_response(path, response, encode(body))
        return result


@pytest.fixture(scope="module")
def bank() -> ComparedContract:
    return ComparedContract(load_contract("payment-system"), OpenApiCoreContract("payment-system"))


@pytest.fixture(scope="module")
def partner() -> ComparedContract:
    return ComparedContract(load_contract("partner-system"), OpenApiCoreContract("partner-system"))


def test_valid_request_is_accepted(bank: ComparedContract, partner: ComparedContract) -> None:
    assert bank.is_valid_request("/refunds", HEADERS, REFUND)
    assert partner.is_valid_request("/orders", HEADERS, ORDER)
    assert partner.is_valid_request("/orders", HEADERS, ORDER | {"note": "Ohne Zwiebeln, bitte 🧅"})


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": "100"},
        {"amount": 100.5},
        {"amount": 2**53},
        {"currency": "usd"},
        {"refund_id": ""},
        {"refund_id": "r" * 129},
        {"payment_id": None},
        {"payment_id": "a b"},
        {"unknown": 1},
    ],
)
def test_request_with_invalid_field_is_rejected(bank: ComparedContract, changes: dict[str, Any]) -> None:
    assert not bank.is_valid_request("/refunds", HEADERS, REFUND | changes)


@pytest.mark.parametrize(
    ("changes", "is_valid"),
    [({}, True), ({"page_token": "2"}, True), ({"page_token": ""}, False), ({"captured_until": "today"}, False)],
)
def test_times_of_request_are_validated(bank: ComparedContract, changes: dict[str, Any], is_valid: bool) -> None:
    period = {"captured_since": "2026-11-21T12:00:00Z", "captured_until": "2026-11-28T12:00:00.5+01:00"}
    assert bank.is_valid_request("/payments/list", HEADERS, period | changes) is is_valid


@pytest.mark.parametrize("field", REFUND)
def test_request_without_required_field_is_rejected(bank: ComparedContract, field: str) -> None:
    body = {name: value for name, value in REFUND.items() if name != field}
    assert not bank.is_valid_request("/refunds", HEADERS, body)


@pytest.mark.parametrize(
    "changes",
    [
        {"items": []},
        {"items": ORDER["items"] * 51},
        {"items": [{"product_id": 1, "title": "Soup", "quantity": 100}]},
        {"items": [{"product_id": 1, "title": "Soup"}]},
        {"note": ""},
        {"note": None},
    ],
)
def test_order_with_invalid_field_is_rejected(partner: ComparedContract, changes: dict[str, Any]) -> None:
    assert not partner.is_valid_request("/orders", HEADERS, ORDER | changes)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_request_without_signature_header_is_rejected(bank: ComparedContract, header: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != header}
    assert not bank.is_valid_request("/refunds", headers, REFUND)


@pytest.mark.parametrize(
    "changes",
    [{"webhook-id": "m" * 129}, {"webhook-id": "a b"}, {"webhook-timestamp": "1" * 21}, {"webhook-signature": ""}],
)
def test_request_with_invalid_header_is_rejected(bank: ComparedContract, changes: dict[str, str]) -> None:
    assert not bank.is_valid_request("/refunds", HEADERS | changes, REFUND)


@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        ("/refund", "application/json", REFUND),
        ("/refunds/", "application/json", REFUND),
        ("/refunds", "text/plain", REFUND),
        ("/refunds", "application/json", b"{"),
        ("/refunds", "application/json", b"\xff"),
        ("/refunds", "application/json", b""),
        ("/refunds", "application/json", []),
    ],
)
def test_request_of_other_form_is_rejected(bank: ComparedContract, path: str, media_type: str, body: object) -> None:
    assert not bank.is_valid_request(path, HEADERS | {"content-type": media_type}, body)


def test_path_parameter_is_validated(partner: ComparedContract) -> None:
    assert partner.is_valid_request("/orders/o1/cancellation", HEADERS, {"order_id": "o1"})
    assert not partner.is_valid_request(f"/orders/{'o' * 1000}/cancellation", HEADERS, {"order_id": "o1"})
    assert not partner.is_valid_request("/orders/o1/o2/cancellation", HEADERS, {"order_id": "o1"})


def test_path_parameter_is_decoded_before_validation() -> None:
    contract = load_contract("partner-system")
    assert contract.is_valid_request(f"/orders/{'%2F' * 64}/cancellation", HEADERS, b"{}")
    assert not contract.is_valid_request("/orders/a%20b/cancellation", HEADERS, b"{}")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_documented_response_is_accepted(bank: ComparedContract, media_type: str) -> None:
    assert bank.is_valid_response("/refunds", 200, REFUND, content_type=media_type)
    assert bank.is_valid_response("/refunds", 200, REFUND | {"new": {}}, content_type=media_type)


def test_page_of_payments_is_validated(bank: ComparedContract) -> None:
    payment = {"payment_id": "p1", "order_id": "o1", "amount": 100, "currency": "USD"}
    for payments, is_valid in (([payment] * 100, True), ([], True), ([payment] * 101, False), ([REFUND], False)):
        body = {"payments": payments}
        assert bank.is_valid_response("/payments/list", 200, body, content_type="application/json") is is_valid


@pytest.mark.parametrize("status", [204, 410, 422])
def test_response_without_documented_body_is_accepted(partner: ComparedContract, status: int) -> None:
    assert partner.is_valid_response("/orders", status, b"")
    assert partner.is_valid_response("/orders/o1/cancellation", status, b"<h1>Gone</h1>", content_type="text/html")


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
def test_other_response_is_rejected(bank: ComparedContract, status: int, body: object, media_type: str) -> None:
    assert not bank.is_valid_response("/refunds", status, body, content_type=media_type)
    assert not bank.is_valid_response("/unknown", 200, REFUND, content_type="application/json")


def test_response_header_is_validated(partner: ComparedContract) -> None:
    assert partner.is_valid_response("/orders", 503, b"", retry_after="120")
    assert partner.is_valid_response("/orders", 503, b"")
    assert not partner.is_valid_response("/orders", 503, b"", retry_after="1" * 41)


def test_deeply_nested_response_is_rejected() -> None:
    contract, response = load_contract("partner-system"), httpx.Response(200, headers=HEADERS)
    for depth in (100, 10_000):
        body = b'{"order_id":"o1","a":' + b"[" * depth + b"]" * depth + b"}"
        assert not contract.is_valid_response("/orders", response, body)


def test_contract_is_loaded_once() -> None:
    assert load_contract("payment-system") is load_contract("payment-system")


def test_unknown_contract_raises_file_not_found_error() -> None:
    with pytest.raises(FileNotFoundError):
        load_contract("no-such-contract")
