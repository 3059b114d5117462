"""What the door refuses, and that every refusal has the contract's form."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from standardwebhooks.webhooks import Webhook

from deploy.local.demo import scenarios
from deploy.local.demo.scenarios import ScenarioContext

type Bearer = Callable[[str], dict[str, str]]


def problem(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """The answer's problem document, which is complete whoever wrote it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["x-request-id"]
    version, trace_id, span_id, flags = answer.headers["traceresponse"].split("-")
    assert (version, len(trace_id), len(span_id), len(flags)) == ("00", 32, 16, 2)
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "reason", "trace_id"} <= document.keys()
    assert document["status"] == status
    assert document["reason"] == reason
    assert document["type"] == f"/problems/{reason}"
    assert document["trace_id"] == trace_id
    return document


def forged(token: str, **changes: Any) -> str:
    """The token with other claims, signed by a key of our own under the same key id."""
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return jwt.encode(claims, pem, "RS256", headers={"kid": jwt.get_unverified_header(token)["kid"]})


def unsigned(token: str) -> str:
    """The token's claims under `alg: none`."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def test_no_token(edge: httpx.Client) -> None:
    answer = edge.get("/catalog")
    problem(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_forged_token(edge: httpx.Client, token: Callable[[str], str]) -> None:
    for bad in (forged(token("customer")), unsigned(token("customer")), token("customer")[:-4] + "AAAA", "nonsense"):
        problem(edge.get("/catalog", headers={"authorization": f"Bearer {bad}"}), 401, "UNAUTHENTICATED")


def test_an_expired_token(edge: httpx.Client, mesh: Any, token: Callable[[str], str]) -> None:
    key = (mesh.state / "secrets/sandbox-signing-key.pem").read_bytes()
    real = jwt.decode(token("customer"), options={"verify_signature": False})
    headers = {"kid": jwt.get_unverified_header(token("customer"))["kid"]}
    now = int(time.time())
    for claims, good in (
        ({}, True),
        ({"iat": now - 7200, "exp": now - 3600}, False),
        ({"aud": "another-project"}, False),
        ({"iss": "https://elsewhere"}, False),
    ):
        made = jwt.encode(real | claims, key, "RS256", headers=headers)
        answer = edge.get("/catalog", headers={"authorization": f"Bearer {made}"})
        if good:
            assert answer.status_code == 200
        else:
            problem(answer, 401, "UNAUTHENTICATED")


def test_a_token_in_the_query_is_none(edge: httpx.Client, token: Callable[[str], str]) -> None:
    problem(edge.get("/catalog", params={"access_token": token("customer")}), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("method", "path", "who"),
    [
        ("POST", "/order-checks", "deliverer"),
        ("POST", "/orders", "admin"),
        ("GET", "/deliveries", "customer"),
        ("POST", "/orders/some-order/assignment", "customer"),
        ("POST", "/orders/some-order/delivery", "admin"),
    ],
)
def test_the_wrong_role(edge: httpx.Client, bearer: Bearer, method: str, path: str, who: str) -> None:
    problem(edge.request(method, path, headers=bearer(who), json={}), 403, "FORBIDDEN")


def test_identity_headers_of_a_client_count_nothing(edge: httpx.Client, bearer: Bearer) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "admin", "role": "admin", "exp": 2**31}).encode()).decode()
    problem(edge.get("/users/me", headers={"x-jwt-payload": claims}), 401, "UNAUTHENTICATED")
    mine = edge.get("/users/me", headers=bearer("customer")).json()
    same = edge.get("/users/me", headers={**bearer("customer"), "x-jwt-payload": claims}).json()
    assert same == mine


def test_an_order_that_is_not_ready_cannot_be_taken(
    pending: ScenarioContext, edge: httpx.Client, bearer: Bearer
) -> None:
    answer = edge.post(f"/orders/{pending.order_id}/assignment", headers=bearer("deliverer"))
    problem(answer, 409, "ORDER_STATE_CONFLICT")
    assert pending.get_order()["status"] == "pending"


def callback(order_id: str) -> bytes:
    return json.dumps(
        {"payment_id": "p-1", "order_id": order_id, "amount": 1700, "currency": "USD", "status": "succeeded"}
    ).encode()


def signed(body: bytes, secret: str, at: float | None = None) -> dict[str, str]:
    from datetime import UTC, datetime  # noqa: PLC0415

    stamp = datetime.fromtimestamp(at or time.time(), UTC)
    return {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(int(stamp.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg-1", stamp, body.decode()),
        "content-type": "application/json",
    }


def test_an_unsigned_callback_changes_nothing(pending: ScenarioContext, edge: httpx.Client) -> None:
    body = callback(pending.order_id)
    wrong = "whsec_" + base64.b64encode(b"x" * 24).decode()
    path = "/callbacks/payments/visa"
    problem(edge.post(path, content=body, headers=signed(body, wrong)), 401, "SIGNATURE_INVALID")
    problem(edge.post(path, content=body, headers={"content-type": "application/json"}), 401, "SIGNATURE_INVALID")
    unknown = edge.post("/callbacks/payments/nobank", content=body, headers=signed(body, wrong))
    problem(unknown, 401, "SIGNATURE_INVALID")
    assert pending.get_order()["status"] == "pending"


def test_a_partner_cannot_speak_for_another(pending: ScenarioContext, edge: httpx.Client) -> None:
    scenarios.pay(pending)
    body = json.dumps({"order_id": pending.order_id, "pickup_address": "1 Market Square"}).encode()
    wrong = "whsec_" + base64.b64encode(b"x" * 24).decode()
    answer = edge.post("/callbacks/partners/1/ready", content=body, headers=signed(body, wrong))
    problem(answer, 401, "SIGNATURE_INVALID")
    assert pending.get_order()["status"] == "paid"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"partner_id": 1}, "items"),
        ({**scenarios.BASKET, "colour": "red"}, "colour"),
        ({**scenarios.BASKET, "items": [{"product_id": 1, "quantity": 100}]}, "/items/0/quantity"),
        ({**scenarios.BASKET, "items": [{"product_id": 1, "quantity": 1}] * 2}, "/items/1/product_id"),
    ],
)
def test_a_body_that_is_not_per_the_contract(edge: httpx.Client, bearer: Bearer, body: Any, field: str) -> None:
    document = problem(edge.post("/order-checks", headers=bearer("customer"), json=body), 400, "INVALID_REQUEST")
    assert any(field in f"{error['field']} {error['message']}" for error in document["errors"])


def test_a_total_that_is_not_the_partners(edge: httpx.Client, bearer: Bearer) -> None:
    body = {**scenarios.BASKET, "total_amount": 1}
    document = problem(edge.post("/order-checks", headers=bearer("customer"), json=body), 422, "TOTAL_MISMATCH")
    assert "1700" in document["errors"][0]["message"]


def test_what_is_not_in_the_contract(edge: httpx.Client, bearer: Bearer) -> None:
    problem(edge.get("/nothing"), 404, "NOT_FOUND")
    refused = edge.delete("/catalog", headers=bearer("customer"))
    problem(refused, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in refused.headers["allow"]
    problem(edge.get("/catalog?colour=red", headers=bearer("customer")), 400, "INVALID_REQUEST")
    problem(edge.get("/catalog?page_token=AAAA", headers=bearer("customer")), 400, "INVALID_REQUEST")
    large = edge.post("/order-checks", headers=bearer("customer"), content=b" " * 70_000)
    problem(large, 413, "PAYLOAD_TOO_LARGE")
    text = edge.post("/order-checks", headers={**bearer("customer"), "content-type": "text/plain"}, content=b"{}")
    problem(text, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_taken_address_and_a_wrong_password(edge: httpx.Client) -> None:
    body = {
        "email": "customer@delivery.test",
        "password": "another-password",
        "first_name": "A",
        "last_name": "B",
        "role": "customer",
    }
    problem(edge.post("/users", json=body), 409, "EMAIL_TAKEN")
    wrong = [{"email": email, "password": "wrong-password"} for email in ("customer@delivery.test", "no@delivery.test")]
    answers = [problem(edge.post("/sessions", json=body), 401, "CREDENTIALS_INVALID") for body in wrong]
    assert answers[0]["detail"] == answers[1]["detail"]
    problem(edge.post("/users/confirm", json={"code": "wrong"}), 422, "CODE_INVALID")
    problem(edge.post("/sessions/refresh", json={"refresh_token": "wrong"}), 401, "REFRESH_TOKEN_INVALID")
