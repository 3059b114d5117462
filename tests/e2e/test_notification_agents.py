"""Agents and the history of notifications, through the edge, as an admin sees them."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.e2e.test_error_responses import problem
from tests.users import User, wait_until

type Bearer = Callable[[str], dict[str, str]]

AGENT = {"name": "Autumn", "priority": 3, "providers": ["fcm", "email"], "preferences": {"ttl_s": 600}}


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[no-any-return]


@pytest.fixture
def admin(edge: httpx.Client, bearer: Bearer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.base_url, headers=bearer("admin"), timeout=20, trust_env=False) as client:
        yield client


def test_an_agent_is_made_read_and_changed(admin: httpx.Client) -> None:
    made = admin.post("/notification-agents", json=AGENT)
    assert made.status_code == 201, made.text
    agent = made.json()
    assert agent == AGENT | {"id": agent["id"], "enabled": True}
    path = f"/notification-agents/{agent['id']}"
    assert made.headers["location"] == f"/api/v1{path}"
    read = admin.get(path)
    assert (read.json(), read.headers["etag"]) == (agent, made.headers["etag"])
    assert admin.get(path, headers={"if-none-match": read.headers["etag"]}).status_code == 304

    night = {"quiet_hours": {"start": "22:00", "end": "07:00"}, "collapse": True}
    changed = admin.patch(path, json={"priority": 9, "preferences": night}, headers={"if-match": read.headers["etag"]})
    assert changed.json() == agent | {"priority": 9, "preferences": {"ttl_s": 600} | night}
    assert changed.headers["etag"] != read.headers["etag"]
    stale = admin.patch(path, json={"enabled": False}, headers={"if-match": read.headers["etag"]})
    problem(stale, 412, "PRECONDITION_FAILED")
    bare = admin.patch(path, json={"preferences": {"quiet_hours": None, "collapse": None}, "providers": ["apns"]})
    assert bare.json() == agent | {"priority": 9, "providers": ["apns"]}
    assert admin.get(path).json() == bare.json()


def test_keys_go_in_and_never_come_out(admin: httpx.Client) -> None:
    account = {
        "type": "service_account",
        "project_id": "delivery-local",
        "client_email": "x@y.z",
        "token_uri": "http://169.254.169.254/",
        "private_key": pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    }
    apple = {
        "key_id": "ABC123DEFG",
        "team_id": "DEF123GHIJ",
        "topic": "test.app",
        "private_key": pem(ec.generate_private_key(ec.SECP256R1())),
    }
    made = admin.post("/notification-agents", json=AGENT | {"keys": {"fcm": json.dumps(account), "apns": apple}})
    assert made.status_code == 201, made.text
    path = f"/notification-agents/{made.json()['id']}"
    answers = [
        made,
        admin.get(path),
        admin.patch(path, json={"keys": {"apns": None}}),
        admin.get("/notification-agents"),
    ]
    for answer in answers:
        assert answer.is_success
        assert "PRIVATE KEY" not in answer.text
        assert "keys" not in answer.text
    wrong = apple | {"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}
    for keys in ({"fcm": "{}"}, {"fcm": "no"}, {"apns": wrong}, {"fcm": json.dumps(account | {"private_key": "x"})}):
        refused = admin.post("/notification-agents", json=AGENT | {"keys": keys})
        assert problem(refused, 422, "AGENT_KEY_INVALID")["errors"][0]["field"] == f"/keys/{next(iter(keys))}"
        assert "AAAA" not in refused.text


@pytest.mark.parametrize(
    "wrong",
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
def test_an_agent_is_what_the_contract_says(admin: httpx.Client, wrong: dict[str, object]) -> None:
    problem(admin.post("/notification-agents", json=AGENT | wrong), 400, "INVALID_REQUEST")


def test_a_repeated_key_makes_no_second_agent_and_keeps_no_secret(admin: httpx.Client) -> None:
    key, secret = {"idempotency-key": secrets.token_hex(8)}, pem(ec.generate_private_key(ec.SECP256R1()))
    apns = {"key_id": "ABCDEFGHIJ", "team_id": "ABCDEFGHIJ", "topic": "test.delivery", "private_key": secret}
    body = AGENT | {"name": f"Twice {secrets.token_hex(4)}", "keys": {"apns": apns}}
    first, again = (admin.post("/notification-agents", json=body, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    apns["private_key"] = pem(ec.generate_private_key(ec.SECP256R1()))
    problem(admin.post("/notification-agents", json=body, headers=key), 422, "IDEMPOTENCY_KEY_REUSED")

    wrong = {"idempotency-key": secrets.token_hex(8)}
    apns["private_key"] = "none"
    refused = [admin.post("/notification-agents", json=body, headers=wrong) for _ in range(2)]
    for answer in refused:
        problem(answer, 422, "AGENT_KEY_INVALID")
    assert [answer.headers.get("idempotency-replayed") for answer in refused] == [None, "true"]


def test_agents_are_listed_by_page(admin: httpx.Client) -> None:
    made = {admin.post("/notification-agents", json=AGENT).json()["id"] for _ in range(3)}
    seen, token = [], None
    while token is not None or not seen:
        page = admin.get(
            "/notification-agents", params={"page_size": 2} | ({"page_token": token} if token else {})
        ).json()
        seen += [agent["id"] for agent in page["items"]]
        token = page.get("next_page_token")
    assert made | {"orders", "alerts", "mails", "news"} <= set(seen)
    assert seen == sorted(set(seen))
    problem(admin.get("/notification-agents", params={"page_token": "nonsense"}), 400, "INVALID_REQUEST")


def test_only_admins_come_here(edge: httpx.Client, bearer: Bearer) -> None:
    for role in ("customer", "deliverer"):
        headers = bearer(role)
        for answer in (
            edge.get("/notifications", headers=headers),
            edge.get("/notification-agents", headers=headers),
            edge.post("/notification-agents", json=AGENT, headers=headers),
            edge.patch("/notification-agents/orders", json={"enabled": False}, headers=headers),
        ):
            problem(answer, 403, "FORBIDDEN")
    problem(edge.get("/notifications"), 401, "UNAUTHENTICATED")


def test_an_agent_that_is_not_there(admin: httpx.Client) -> None:
    problem(admin.get("/notification-agents/none"), 404, "AGENT_NOT_FOUND")
    problem(admin.patch("/notification-agents/none", json={"enabled": True}), 404, "AGENT_NOT_FOUND")


def test_the_history_has_the_mails_that_a_user_does_not_see(
    admin: httpx.Client, edge: httpx.Client, sandbox: httpx.Client
) -> None:
    ada = User(edge, sandbox, notif_token=f"phone-{secrets.token_hex(6)}").sign_in()
    query: dict[str, str] = {"user_id": ada.id, "agent_id": "mails", "status": "sent"}
    [mail] = wait_until(
        "the mail is in the history", lambda: admin.get("/notifications", params=query).json()["items"] or None
    )
    assert (mail["event"], mail["body"], mail["user_id"]) == ("emails.requested", "", ada.id)
    assert [attempt["outcome"] for attempt in mail["attempts"]] == ["accepted"]
    assert ada.request("GET", "/users/me/notifications").json()["items"] == []
    assert admin.get("/notifications", params=query | {"status": "failed"}).json()["items"] == []
    first = admin.get("/notifications", params={"page_size": 1}).json()
    assert len(first["items"]) == 1
