"""Common passwords, which attackers try first, cannot be set."""

import secrets

import httpx
import pytest

from tests.users import PASSWORD, User

COMMON_PASSWORD = "Password123"


@pytest.fixture
def ada(edge: httpx.Client, sandbox: httpx.Client) -> User:
    """Return a customer that is signed in."""
    return User(edge, sandbox).sign_in()


def test_common_password_is_rejected(edge: httpx.Client, ada: User) -> None:
    email = f"customer-{secrets.token_hex(6)}@delivery.test"
    profile = {"email": email, "first_name": "Ada", "last_name": "Byron", "role": "customer"}
    change = {"old_password": PASSWORD, "new_password": COMMON_PASSWORD}
    for response in (
        edge.post("/users", json={**profile, "password": COMMON_PASSWORD}),
        edge.post("/password-resets/confirm", json={"code": "Zq3vX8pLr2", "password": COMMON_PASSWORD}),
        ada.request("PUT", "/users/me/password", json=change),
    ):
        assert (response.status_code, response.json()["reason"]) == (422, "PASSWORD_COMMON")
    ada.sign_in()
    assert edge.post("/users", json={**profile, "password": PASSWORD}).status_code == 201
