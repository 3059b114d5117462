"""registerDevice: Register a device for push notifications."""

import secrets
from typing import Any

import httpx

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from tests.users import User
from tests.wait import wait_until


def make_token() -> str:
    return f"device-{secrets.token_hex(8)}"


def register(user: User, token: str, **body: Any) -> dict[str, Any]:
    response = user.request("POST", "/users/me/devices", json={"token": token} | body)
    assert response.status_code == 200, response.text
    device: dict[str, Any] = response.json()
    return device


def list_ids(user: User) -> list[str]:
    return [device["id"] for device in user.request("GET", "/users/me/devices").json()["items"]]


def test_register_device_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.post("/users/me/devices", json={"token": "phone"}).status_code == 401


def test_registered_devices_are_listed_latest_first(edge: httpx.Client, sandbox: httpx.Client) -> None:
    ada = User(edge, sandbox).sign_in()
    token = make_token()
    device = register(ada, token, name="Telephone")
    assert (device["provider"], device["name"]) == ("fcm", "Telephone")
    assert token not in str(device)
    others = [register(ada, make_token())["id"] for _ in range(10)]
    assert list_ids(ada) == others[::-1]
    assert register(ada, token)["id"] == device["id"]
    assert list_ids(ada) == [device["id"], *others[:0:-1]]


def test_token_of_another_user_moves_to_the_caller(edge: httpx.Client, sandbox: httpx.Client) -> None:
    ada, eve = User(edge, sandbox).sign_in(), User(edge, sandbox).sign_in()
    device = register(ada, make_token())
    token = make_token()
    moved = register(ada, token)
    assert register(eve, token)["id"] == moved["id"]
    assert (list_ids(ada), list_ids(eve)) == ([device["id"]], [moved["id"]])


def test_push_goes_to_all_devices_of_the_customer(pending: ScenarioContext) -> None:
    tokens = [make_token(), make_token()]
    for token in tokens:
        pending.request("POST", "/users/me/devices", 200, user="customer", json={"token": token})
    pending.request("POST", "/users/me/devices", 200, user="customer", json={"token": pending.device})
    removed = pending.request("POST", "/users/me/devices", 200, user="customer", json={"token": make_token()})
    pending.request("DELETE", f"/users/me/devices/{removed['id']}", 204, user="customer")
    scenarios.pay(pending)
    for token in (*tokens, pending.device):
        messages = wait_until(
            lambda: pending.get_from_sandbox(f"/devices/{token}/messages"),  # noqa: B023
            description="the device receives the notification",
        )
        assert len(messages) == 1
