"""removeDevice: Remove a device."""

import secrets

import httpx

from tests.users import User


def test_remove_device_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.delete("/users/me/devices/1").status_code == 401


def test_removed_device_is_not_listed(edge: httpx.Client, sandbox: httpx.Client) -> None:
    ada, eve = User(edge, sandbox).sign_in(), User(edge, sandbox).sign_in()
    body = {"token": f"device-{secrets.token_hex(8)}"}
    path = f"/users/me/devices/{ada.request('POST', '/users/me/devices', json=body).json()['id']}"
    problem = eve.request("DELETE", path)
    assert (problem.status_code, problem.json()["reason"]) == (404, "DEVICE_NOT_FOUND")
    assert ada.request("DELETE", path).status_code == 204
    assert ada.request("DELETE", path).status_code == 404
    assert ada.request("GET", "/users/me/devices").json() == {"items": []}
