"""setUserDisabled: Disable or enable an account."""

from collections.abc import Callable

import httpx
import pytest

from tests.users import User

BODY = {"disabled": True}


def test_set_user_disabled_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.request("PUT", "/users/1/disabled", json=BODY).status_code == 401


@pytest.mark.parametrize("role", ["customer", "deliverer"])
def test_set_user_disabled_with_other_role_returns_403(
    edge: httpx.Client, bearer: Callable[[str], dict[str, str]], role: str
) -> None:
    assert edge.request("PUT", "/users/1/disabled", json=BODY, headers=bearer(role)).status_code == 403


def test_disabled_user_cannot_sign_in_until_enabled(
    edge: httpx.Client, sandbox: httpx.Client, bearer: Callable[[str], dict[str, str]]
) -> None:
    ada = User(edge, sandbox)
    path, credentials = f"/users/{ada.id}/disabled", {"email": ada.email, "password": ada.password}
    assert edge.put(path, json=BODY, headers=bearer("admin")).status_code == 204
    assert edge.post("/sessions", json=credentials).status_code in (401, 403)
    query = {"q": ada.email, "disabled": True}
    [listed] = edge.get("/users", params=query, headers=bearer("admin")).json()["items"]
    assert (listed["id"], listed["disabled"]) == (ada.id, True)
    assert edge.put(path, json={"disabled": False}, headers=bearer("admin")).status_code == 204
    assert edge.post("/sessions", json=credentials).status_code == 200
    assert edge.get("/users", params=query, headers=bearer("admin")).json()["items"] == []
