"""Notification agents and the notification history, as an admin through the edge."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from tests.e2e.test_error_responses import assert_problem
from tests.users import User
from tests.wait import wait_until

type Bearer = Callable[[str], dict[str, str]]

AGENT = {"name": "Autumn", "priority": 3, "providers": ["fcm", "email"], "preferences": {"ttl_s": 600}}


def to_pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[no-any-return]


@pytest.fixture
def admin(edge: httpx.Client, bearer: Bearer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.base_url, headers=bearer("admin"), timeout=20, trust_env=False) as client:
        yield client


def test_create_get_and_update_agent(admin: httpx.Client) -> None:
    created = admin.post("/notification-agents", json=AGENT)
    assert created.status_code == 201, created.text
    agent = created.json()
    assert agent == AGENT | {"id": agent["id"], "enabled": True}
    path = f"/notification-agents/{agent['id']}"
    assert created.headers["location"] == f"/api/v1{path}"
    read = admin.get(path)
    assert (read.json(), read.headers["etag"]) == (agent, created.headers["etag"])
    assert admin.get(path, headers={"if-none-match": read.headers["etag"]}).status_code == 304

    preferences = {"quiet_hours": {"start": "22:00", "end": "07:00"}, "collapse": True}
    updated = admin.patch(
        path,
        json={"priority": 9, "preferences": preferences},
        headers={"if-match": f'"zzz", {read.headers["etag"]}'},
    )
    assert updated.json() == agent | {"priority": 9, "preferences": {"ttl_s": 600} | preferences}
    assert updated.headers["etag"] != read.headers["etag"]
    stale = admin.patch(path, json={"enabled": False}, headers={"if-match": read.headers["etag"]})
    assert_problem(stale, 412, "PRECONDITION_FAILED")
    cleared = admin.patch(path, json={"preferences": {"quiet_hours": None, "collapse": None}, "providers": ["apns"]})
    assert cleared.json() == agent | {"priority": 9, "providers": ["apns"]}
    assert admin.get(path).json() == cleared.json()


def test_provider_keys_are_write_only(admin: httpx.Client) -> None:
    fcm_key = {
        "type": "service_account",
        "project_id": "delivery-local",
        "client_email": "x@y.z",
        "token_uri": "http://169.254.169.254/",
        "private_key": to_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    }
    apns_key = {
        "key_id": "ABC123DEFG",
        "team_id": "DEF123GHIJ",
        "topic": "test.app",
        "private_key": to_pem(ec.generate_private_key(ec.SECP256R1())),
    }
    created = admin.post("/notification-agents", json=AGENT | {"keys": {"fcm": json.dumps(fcm_key), "apns": apns_key}})
    assert created.status_code == 201, created.text
    path = f"/notification-agents/{created.json()['id']}"
    responses = [
        created,
        admin.get(path),
        admin.patch(path, json={"keys": {"apns": None}}),
        admin.get("/notification-agents"),
    ]
    for response in responses:
        assert response.is_success
        assert "PRIVATE KEY" not in response.text
        assert "keys" not in response.text
    invalid_key = apns_key | {"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}
    for keys in (
        {"fcm": "{}"},
        {"fcm": "no"},
        {"apns": invalid_key},
        {"fcm": json.dumps(fcm_key | {"private_key": "x"})},
    ):
        response = admin.post("/notification-agents", json=AGENT | {"keys": keys})
        assert assert_problem(response, 422, "AGENT_KEY_INVALID")["errors"][0]["field"] == f"/keys/{next(iter(keys))}"
        assert "AAAA" not in response.text


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": 11},
        {"priority": 0},
        {"providers": []},
        {"providers": ["fcm", "fcm"]},
        {"providers": ["pigeon"]},
        {"preferences": {}},
        {"preferences": {"ttl_s": 0}},
        {"preferences": {"ttl_s": 60, "quiet_hours": {"start": "24:00", "end": "07:00"}}},
        {"name": ""},
        {"secret": "x"},
    ],
)
def test_create_agent_with_invalid_field_returns_400(admin: httpx.Client, changes: dict[str, object]) -> None:
    assert_problem(admin.post("/notification-agents", json=AGENT | changes), 400, "INVALID_REQUEST")


def test_create_agent_is_idempotent(admin: httpx.Client) -> None:
    headers, private_key = {"idempotency-key": secrets.token_hex(8)}, to_pem(ec.generate_private_key(ec.SECP256R1()))
    apns = {"key_id": "ABCDEFGHIJ", "team_id": "ABCDEFGHIJ", "topic": "test.delivery", "private_key": private_key}
    body = AGENT | {"name": f"Twice {secrets.token_hex(4)}", "keys": {"apns": apns}}
    first, repeated = (admin.post("/notification-agents", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, repeated.status_code) == (201, 201), first.text
    assert repeated.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert repeated.headers["idempotency-replayed"] == "true"
    assert repeated.headers["location"] == first.headers["location"]
    apns["private_key"] = to_pem(ec.generate_private_key(ec.SECP256R1()))
    assert_problem(admin.post("/notification-agents", json=body, headers=headers), 422, "IDEMPOTENCY_KEY_REUSED")

    other_headers = {"idempotency-key": secrets.token_hex(8)}
    apns["private_key"] = "none"
    rejections = [admin.post("/notification-agents", json=body, headers=other_headers) for _ in range(2)]
    for response in rejections:
        assert_problem(response, 422, "AGENT_KEY_INVALID")
    assert [response.headers.get("idempotency-replayed") for response in rejections] == [None, "true"]


def test_list_agents_is_paginated(admin: httpx.Client) -> None:
    created_ids = {admin.post("/notification-agents", json=AGENT).json()["id"] for _ in range(3)}
    listed_ids, token = [], None
    while token is not None or not listed_ids:
        page = admin.get(
            "/notification-agents", params={"page_size": 2} | ({"page_token": token} if token else {})
        ).json()
        listed_ids += [agent["id"] for agent in page["items"]]
        token = page.get("next_page_token")
    assert created_ids | {"orders", "alerts", "mails", "news"} <= set(listed_ids)
    assert listed_ids == sorted(set(listed_ids))
    assert_problem(admin.get("/notification-agents", params={"page_token": "nonsense"}), 400, "INVALID_REQUEST")


def test_agents_and_history_require_admin(edge: httpx.Client, bearer: Bearer) -> None:
    for role in ("customer", "deliverer"):
        headers = bearer(role)
        for response in (
            edge.get("/notifications", headers=headers),
            edge.get("/notification-agents", headers=headers),
            edge.post("/notification-agents", json=AGENT, headers=headers),
            edge.patch("/notification-agents/orders", json={"enabled": False}, headers=headers),
        ):
            assert_problem(response, 403, "FORBIDDEN")
    assert_problem(edge.get("/notifications"), 401, "UNAUTHENTICATED")


def test_unknown_agent_returns_404(admin: httpx.Client) -> None:
    assert_problem(admin.get("/notification-agents/none"), 404, "AGENT_NOT_FOUND")
    assert_problem(admin.patch("/notification-agents/none", json={"enabled": True}), 404, "AGENT_NOT_FOUND")


def test_history_contains_mails_not_listed_for_user(
    admin: httpx.Client, edge: httpx.Client, sandbox: httpx.Client
) -> None:
    ada = User(edge, sandbox, notif_token=f"phone-{secrets.token_hex(6)}").sign_in()
    query: dict[str, str] = {"user_id": ada.id, "agent_id": "mails", "status": "sent"}
    [mail] = wait_until(
        lambda: admin.get("/notifications", params=query).json()["items"] or None,
        description="the mail is in the history",
    )
    assert (mail["event"], mail["body"], mail["user_id"]) == ("emails.requested", "", ada.id)
    assert [attempt["outcome"] for attempt in mail["attempts"]] == ["accepted"]
    assert ada.request("GET", "/users/me/notifications").json()["items"] == []
    assert admin.get("/notifications", params=query | {"status": "failed"}).json()["items"] == []
    first = admin.get("/notifications", params={"page_size": 1}).json()
    assert len(first["items"]) == 1


def test_history_is_filtered_by_order(admin: httpx.Client, pending: ScenarioContext) -> None:
    scenarios.pay(pending)
    [paid] = wait_until(
        lambda: admin.get("/notifications", params={"order_id": pending.order_id}).json()["items"] or None,
        description="the notification about the payment is in the history",
    )
    assert (paid["event"], paid["order_id"]) == ("orders.paid", pending.order_id)
    assert admin.get("/notifications", params={"order_id": paid["id"]}).json()["items"] == []
