"""signInWithProvider: Sign in with Google or Apple."""

import hashlib
import secrets
from typing import Any

import httpx
import pytest

from tests.users import User

PROVIDER_IDS = {"google": "google.com", "apple": "apple.com"}


def issue_token(sandbox: httpx.Client, provider: str, email: str, **claims: Any) -> str:
    body = {"sub": email, "email": email, "given_name": "Ada", "family_name": "Byron"} | claims
    response = sandbox.post(f"/providers/{PROVIDER_IDS[provider]}/tokens", json=body).raise_for_status()
    return str(response.json()["id_token"])


def make_email() -> str:
    return f"provider-{secrets.token_hex(6)}@delivery.test"


@pytest.mark.parametrize("provider", PROVIDER_IDS)
def test_first_sign_in_with_provider_creates_account(edge: httpx.Client, sandbox: httpx.Client, provider: str) -> None:
    email, nonce = make_email(), secrets.token_urlsafe()
    token = issue_token(sandbox, provider, email, nonce=hashlib.sha256(nonce.encode()).hexdigest())
    body = {"provider": provider, "id_token": token, "nonce": nonce, "locale": "de-AT", "last_name": "Lovelace"}
    first, repeated = [edge.post("/sessions/provider", json=body).raise_for_status() for _ in range(2)]
    assert "no-store" in first.headers["cache-control"]
    assert first.json()["user_id"] == repeated.json()["user_id"]
    headers = {"authorization": f"Bearer {first.json()['access_token']}"}
    profile = edge.get("/users/me", headers=headers).raise_for_status().json()
    assert (profile["email"], profile["email_verified"], profile["locale"]) == (email, True, "de-AT")
    assert (profile["first_name"], profile["last_name"], profile["role"]) == ("Ada", "Lovelace", "customer")
    assert edge.get("/orders", headers=headers).status_code == 200
    assert edge.delete("/users/me", headers=headers).status_code == 204


def test_sign_in_with_provider_to_unverified_account_ends_its_sessions(
    edge: httpx.Client, sandbox: httpx.Client
) -> None:
    eve = User(edge, sandbox, notif_token=f"device-{secrets.token_hex(6)}").sign_in()
    body = {"provider": "google", "id_token": issue_token(sandbox, "google", eve.email)}
    session = edge.post("/sessions/provider", json=body).raise_for_status().json()
    assert session["user_id"] == eve.id
    assert eve.refresh().json()["reason"] == "REFRESH_TOKEN_INVALID"
    assert eve.request("GET", "/users/me").json()["reason"] == "TOKEN_REVOKED"
    headers = {"authorization": f"Bearer {session['access_token']}"}
    profile = edge.get("/users/me", headers=headers).raise_for_status().json()
    assert (profile["email_verified"], profile.get("notif_token")) == (True, None)


def test_sign_in_with_unverified_provider_email_returns_422(edge: httpx.Client, sandbox: httpx.Client) -> None:
    ada = User(edge, sandbox).sign_in()
    token = issue_token(sandbox, "google", ada.email, email_verified=False)
    response = edge.post("/sessions/provider", json={"provider": "google", "id_token": token})
    assert (response.status_code, response.json()["reason"]) == (422, "PROVIDER_EMAIL_UNVERIFIED")
    assert ada.request("GET", "/users/me").status_code == 200


def test_sign_in_with_invalid_provider_token_returns_401(edge: httpx.Client, sandbox: httpx.Client) -> None:
    token = issue_token(sandbox, "google", make_email())
    for body in ({"provider": "apple", "id_token": token}, {"provider": "google", "id_token": token[:-4] + "AAAA"}):
        response = edge.post("/sessions/provider", json=body)
        assert (response.status_code, response.json()["reason"]) == (401, "PROVIDER_TOKEN_INVALID")
        assert response.headers["www-authenticate"] == "Bearer"
