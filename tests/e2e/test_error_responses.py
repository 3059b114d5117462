"""Rejected requests at the edge, and the form of their problem documents."""

import base64
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from standardwebhooks.webhooks import Webhook

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from tests.conftest import Mesh

type Bearer = Callable[[str], dict[str, str]]


def assert_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """Assert status and reason of a complete problem document, and return the document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    assert response.headers["x-request-id"]
    version, trace_id, span_id, flags = response.headers["traceresponse"].split("-")
    assert (version, len(trace_id), len(span_id), len(flags)) == ("00", 32, 16, 2)
    document: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "reason", "trace_id"} <= document.keys()
    assert document["status"] == status
    assert document["reason"] == reason
    assert document["type"] == f"/problems/{reason}"
    assert document["trace_id"] == trace_id
    return document


def forge_token(token: str, **changes: Any) -> str:
    """Return the token with changed claims, signed with another key under the same key id."""
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return jwt.encode(claims, pem, "RS256", headers={"kid": jwt.get_unverified_header(token)["kid"]})


def remove_signature(token: str) -> str:
    """Return the token with `alg: none` and without a signature."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def test_request_without_token_returns_401(edge: httpx.Client) -> None:
    response = edge.get("/banks")
    assert_problem(response, 401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_request_with_forged_token_returns_401(edge: httpx.Client, token: Callable[[str], str]) -> None:
    for invalid_token in (
        forge_token(token("customer")),
        remove_signature(token("customer")),
        token("customer")[:-4] + "AAAA",
        "nonsense",
    ):
        assert_problem(edge.get("/banks", headers={"authorization": f"Bearer {invalid_token}"}), 401, "UNAUTHENTICATED")


def test_request_with_expired_or_foreign_token_returns_401(
    edge: httpx.Client, mesh: Mesh, token: Callable[[str], str]
) -> None:
    key = (mesh.state_dir / "secrets/sandbox-signing-key.pem").read_bytes()
    valid_claims = jwt.decode(token("customer"), options={"verify_signature": False})
    headers = {"kid": jwt.get_unverified_header(token("customer"))["kid"]}
    now = int(time.time())
    for claims, is_valid in (
        ({}, True),
        ({"iat": now - 7200, "exp": now - 3600}, False),
        ({"aud": "another-project"}, False),
        ({"iss": "https://elsewhere"}, False),
    ):
        signed_token = jwt.encode(valid_claims | claims, key, "RS256", headers=headers)
        response = edge.get("/banks", headers={"authorization": f"Bearer {signed_token}"})
        if is_valid:
            assert response.status_code == 200
        else:
            assert_problem(response, 401, "UNAUTHENTICATED")


def test_token_in_query_is_ignored(edge: httpx.Client, token: Callable[[str], str]) -> None:
    assert_problem(edge.get("/banks", params={"access_token": token("customer")}), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("POST", "/order-checks", "deliverer"),
        ("POST", "/orders", "admin"),
        ("GET", "/deliveries", "customer"),
        ("POST", "/orders/some-order/assignment", "customer"),
        ("POST", "/orders/some-order/delivery", "admin"),
    ],
)
def test_request_with_wrong_role_returns_403(
    edge: httpx.Client, bearer: Bearer, method: str, path: str, role: str
) -> None:
    assert_problem(edge.request(method, path, headers=bearer(role), json={}), 403, "FORBIDDEN")


def test_identity_headers_of_client_are_ignored(edge: httpx.Client, bearer: Bearer) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "admin", "role": "admin", "exp": 2**31}).encode()).decode()
    assert_problem(edge.get("/users/me", headers={"x-jwt-payload": claims}), 401, "UNAUTHENTICATED")
    profile = edge.get("/users/me", headers=bearer("customer")).json()
    profile_with_header = edge.get("/users/me", headers={**bearer("customer"), "x-jwt-payload": claims}).json()
    assert profile_with_header == profile


def test_assign_order_that_is_not_ready_returns_409(
    pending: ScenarioContext, edge: httpx.Client, bearer: Bearer
) -> None:
    response = edge.post(f"/orders/{pending.order_id}/assignment", headers=bearer("deliverer"))
    assert_problem(response, 409, "ORDER_STATE_CONFLICT")
    assert pending.get_order()["status"] == "pending"


def encode_payment(order_id: str) -> bytes:
    return json.dumps(
        {"payment_id": "p-1", "order_id": order_id, "amount": 1700, "currency": "USD", "status": "succeeded"}
    ).encode()


def sign(body: bytes, secret: str, at: float | None = None, webhook_id: str = "msg-1") -> dict[str, str]:
    timestamp = datetime.fromtimestamp(at or time.time(), UTC)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(timestamp.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, timestamp, body.decode()),
        "content-type": "application/json",
    }


def test_payment_callback_with_invalid_signature_is_rejected(pending: ScenarioContext, edge: httpx.Client) -> None:
    body = encode_payment(pending.order_id)
    wrong_secret = "whsec_" + base64.b64encode(b"x" * 24).decode()
    path = "/callbacks/payments/visa"
    assert_problem(edge.post(path, content=body, headers=sign(body, wrong_secret)), 401, "SIGNATURE_INVALID")
    assert_problem(
        edge.post(path, content=body, headers={"content-type": "application/json"}), 401, "SIGNATURE_INVALID"
    )
    response = edge.post("/callbacks/payments/unknown", content=body, headers=sign(body, wrong_secret))
    assert_problem(response, 401, "SIGNATURE_INVALID")
    assert pending.get_order()["status"] == "pending"


def test_ready_callback_signed_by_other_partner_is_rejected(pending: ScenarioContext, edge: httpx.Client) -> None:
    scenarios.pay(pending)
    body = json.dumps({"order_id": pending.order_id, "pickup_address": "1 Market Square"}).encode()
    wrong_secret = "whsec_" + base64.b64encode(b"x" * 24).decode()
    response = edge.post("/callbacks/partners/1/ready", content=body, headers=sign(body, wrong_secret))
    assert_problem(response, 401, "SIGNATURE_INVALID")
    assert pending.get_order()["status"] == "paid"


def test_ready_callback_under_used_webhook_id_is_rejected(pending: ScenarioContext, edge: httpx.Client) -> None:
    secret = Secrets(MeshConfig(os.environ)).webhook_secret
    webhook_id = uuid4().hex

    def report(address: str) -> httpx.Response:
        body = json.dumps({"order_id": pending.order_id, "pickup_address": address}).encode()
        headers = sign(body, secret, webhook_id=webhook_id)
        return edge.post(f"/callbacks/partners/{scenarios.BASKET['partner_id']}/ready", content=body, headers=headers)

    scenarios.pay(pending)
    assert [report(address).status_code for address in ["1 Market Square"] * 2] == [202, 202]
    pending.wait_until("the order is ready", lambda: pending.get_order()["status"] == "ready")
    assert_problem(report("2 Market Square"), 422, "WEBHOOK_ID_REUSED")


@pytest.mark.parametrize("path", ["/callbacks/payments/visa", "/callbacks/partners/1/ready"])
@pytest.mark.parametrize(
    ("body", "media_type", "status", "reason"),
    [
        (b"no JSON", "application/json", 400, "INVALID_REQUEST"),
        (b'{"order_id": "", "pickup_address": "", "amount": "1"}', "application/json", 400, "INVALID_REQUEST"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b" " * (64 * 1024 + 1), "application/json", 413, "PAYLOAD_TOO_LARGE"),
    ],
)
def test_unsigned_callback_with_invalid_body_is_not_unauthenticated(
    edge: httpx.Client, path: str, body: bytes, media_type: str, status: int, reason: str
) -> None:
    document = assert_problem(edge.post(path, content=body, headers={"content-type": media_type}), status, reason)
    if b"order_id" in body:
        assert {"/order_id", "/amount" if "payments" in path else "/pickup_address"} <= {
            error["field"] for error in document["errors"]
        }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"partner_id": 1}, "items"),
        ({**scenarios.BASKET, "colour": "red"}, "colour"),
        ({**scenarios.BASKET, "items": [{"product_id": 1, "quantity": 100}]}, "/items/0/quantity"),
        ({**scenarios.BASKET, "items": [{"product_id": 1, "quantity": 1}] * 2}, "/items/1/product_id"),
    ],
)
def test_check_order_with_invalid_body_returns_400(edge: httpx.Client, bearer: Bearer, body: Any, field: str) -> None:
    document = assert_problem(edge.post("/order-checks", headers=bearer("customer"), json=body), 400, "INVALID_REQUEST")
    assert any(field in f"{error['field']} {error['message']}" for error in document["errors"])


def test_check_order_with_unknown_bank_returns_422(edge: httpx.Client, bearer: Bearer) -> None:
    response = edge.post("/order-checks", headers=bearer("customer"), json=scenarios.BASKET | {"bank_id": "unknown"})
    assert_problem(response, 422, "BANK_UNAVAILABLE")


def test_check_order_with_wrong_total_returns_422(edge: httpx.Client, bearer: Bearer) -> None:
    body = {**scenarios.BASKET, "total_amount": 1}
    document = assert_problem(edge.post("/order-checks", headers=bearer("customer"), json=body), 422, "TOTAL_MISMATCH")
    assert (document["total_amount"], document["currency"]) == (1700, "USD")
    assert document["detail"] == "At the partner's current prices, the total is $17.00."
    german = edge.post("/order-checks", headers={**bearer("customer"), "accept-language": "de"}, json=body)
    assert (german.headers["content-language"], "17,00" in german.json()["detail"]) == ("de", True)


def test_requests_outside_contract_are_rejected(edge: httpx.Client, bearer: Bearer) -> None:
    assert_problem(edge.get("/unknown"), 404, "NOT_FOUND")
    response = edge.delete("/catalog", headers=bearer("customer"))
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in response.headers["allow"]
    assert_problem(edge.get("/catalog?colour=red"), 400, "INVALID_REQUEST")
    assert_problem(edge.get("/catalog?page_token=AAAA"), 400, "INVALID_REQUEST")
    response = edge.post("/order-checks", headers=bearer("customer"), content=b" " * 70_000)
    assert_problem(response, 413, "PAYLOAD_TOO_LARGE")
    response = edge.post("/order-checks", headers={**bearer("customer"), "content-type": "text/plain"}, content=b"{}")
    assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_account_errors_return_documented_problems(edge: httpx.Client) -> None:
    body = {
        "email": "customer@delivery.test",
        "password": "another-password",
        "first_name": "A",
        "last_name": "B",
        "role": "customer",
    }
    assert_problem(edge.post("/users", json=body), 409, "EMAIL_TAKEN")
    credentials = [
        {"email": email, "password": "wrong-password"} for email in ("customer@delivery.test", "no@delivery.test")
    ]
    problems = [assert_problem(edge.post("/sessions", json=body), 401, "CREDENTIALS_INVALID") for body in credentials]
    assert problems[0]["detail"] == problems[1]["detail"]
    assert_problem(edge.post("/users/confirm", json={"code": "wrong"}), 422, "CODE_INVALID")
    assert_problem(edge.post("/sessions/refresh", json={"refresh_token": "wrong"}), 401, "REFRESH_TOKEN_INVALID")
