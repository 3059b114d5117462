"""listDevices: List the caller's devices."""

import httpx

from tests.users import User


def test_list_devices_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.get("/users/me/devices").status_code == 401


def test_list_devices_of_new_user_is_empty(edge: httpx.Client, sandbox: httpx.Client) -> None:
    assert User(edge, sandbox).sign_in().request("GET", "/users/me/devices").json() == {"items": []}
