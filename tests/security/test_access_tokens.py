"""Access tokens after changes of their account, with unexpected claims, and from old sessions."""

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from rich.console import Console

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from tests.conftest import Mesh
from tests.users import PASSWORD, User
from tests.wait import wait_until

NEW_PASSWORD = "another-long-one"
MAX_DELAY_S = 1.0
"""Maximum time from the response to a change until every gateway rejects older tokens."""

type SignToken = Callable[..., str]


@pytest.fixture
def ada(edge: httpx.Client, sandbox: httpx.Client) -> User:
    """Return a customer that is signed in."""
    return User(edge, sandbox).sign_in()


@pytest.fixture
def admin(edge: httpx.Client) -> dict[str, str]:
    """Return the Authorization header of the demo admin."""
    body = {"email": "admin@delivery.test", "password": scenarios.DEMO_PASSWORD}
    token = edge.post("/sessions", json=body).raise_for_status().json()["access_token"]
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def sign_token(mesh: Mesh) -> SignToken:
    """Return a function that signs another version of a token with the key of the emulated identity provider."""
    key = (mesh.state_dir / "secrets/sandbox-signing-key.pem").read_bytes()

    def sign(token: str, **claims: Any) -> str:
        changed = jwt.decode(token, options={"verify_signature": False}) | claims
        present = {name: value for name, value in changed.items() if value is not None}
        # PyJWT does not encode claims of other types, so only the signature is its own.
        return jwt.api_jws.encode(
            jwt.api_jwt.json.dumps(present).encode(), key, "RS256", {"kid": jwt.get_unverified_header(token)["kid"]}
        )

    return sign


def read_problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


def sign_out(ada: User, edge: httpx.Client, admin: dict[str, str]) -> httpx.Response:
    return ada.request("DELETE", "/sessions")


def change_password(ada: User, edge: httpx.Client, admin: dict[str, str]) -> httpx.Response:
    body = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    return ada.request("PUT", "/users/me/password", json=body)


def reset_password(ada: User, edge: httpx.Client, admin: dict[str, str]) -> httpx.Response:
    ada.wait_for_code(1)
    edge.post("/password-resets", json={"email": ada.email}).raise_for_status()
    body = {"code": ada.wait_for_code(2), "password": NEW_PASSWORD}
    return edge.post("/password-resets/confirm", json=body)


def change_role(ada: User, edge: httpx.Client, admin: dict[str, str]) -> httpx.Response:
    return edge.put(f"/users/{ada.id}/role", json={"role": "deliverer"}, headers=admin)


def disable(ada: User, edge: httpx.Client, admin: dict[str, str]) -> httpx.Response:
    return edge.put(f"/users/{ada.id}/disabled", json={"disabled": True}, headers=admin)


def delete_account(ada: User, edge: httpx.Client, admin: dict[str, str]) -> httpx.Response:
    return ada.request("DELETE", "/users/me")


@pytest.mark.parametrize("change", [sign_out, change_password, reset_password, change_role, disable, delete_account])
def test_token_is_revoked_by_change_of_account(
    ada: User,
    edge: httpx.Client,
    admin: dict[str, str],
    change: Callable[[User, httpx.Client, dict[str, str]], httpx.Response],
) -> None:
    assert ada.request("GET", "/banks").status_code == 200
    assert change(ada, edge, admin).is_success
    changed_at = time.monotonic()
    wait_until(lambda: ada.request("GET", "/banks").status_code == 401, MAX_DELAY_S, description="token is revoked")
    assert time.monotonic() - changed_at < MAX_DELAY_S
    response = ada.request("POST", "/order-checks", json=scenarios.BASKET)
    assert read_problem(response) == (401, "TOKEN_REVOKED")
    assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    if change is change_role:
        assert ada.refresh().is_success
        assert ada.request("GET", "/deliveries").status_code == 200
    elif change is disable:
        assert read_problem(ada.refresh()) == (401, "REFRESH_TOKEN_INVALID")
        assert edge.put(f"/users/{ada.id}/disabled", json={"disabled": False}, headers=admin).status_code == 204
        assert read_problem(ada.refresh()) == (401, "REFRESH_TOKEN_INVALID")
        assert ada.sign_in().request("GET", "/users/me").status_code == 200
    elif change is not delete_account:
        ada.password = PASSWORD if change is sign_out else NEW_PASSWORD
        assert ada.sign_in().request("GET", "/users/me").status_code == 200


def test_event_stream_ends_with_revocation_of_token(mesh: Mesh) -> None:
    with (
        httpx.Client(base_url=mesh.edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=mesh.sandbox_url, timeout=20, trust_env=False) as sandbox,
    ):
        context = ScenarioContext(edge, sandbox, Console(quiet=True))
        for scenario in (scenarios.register, scenarios.check, scenarios.confirm):
            scenario(context)
        headers = {"authorization": f"Bearer {context.tokens['customer']}"}
        with edge.stream("GET", f"/api/v1/orders/{context.order_id}/events", headers=headers) as stream:
            chunks = stream.iter_text()
            assert "pending" in next(chunks)
            ended = threading.Event()

            def read_until_end() -> None:
                for _ in chunks:
                    pass
                ended.set()

            reader = threading.Thread(target=read_until_end)
            reader.start()
            assert edge.delete("/api/v1/sessions", headers=headers).status_code == 204
            assert ended.wait(MAX_DELAY_S)
            reader.join()


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": time.time() + 3600.5},
        {"exp": 2**60},
        {"email": 7},
        {"role": ["customer"]},
        {"sub": None},
        {"sub": "u" * 2000},
        {"iat": 1e300},
    ],
    ids="-".join,
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/users/me"), ("GET", "/banks"), ("GET", "/users/me/notifications"), ("DELETE", "/sessions")],
)
def test_token_with_unexpected_claims_is_rejected(
    ada: User, edge: httpx.Client, sign_token: SignToken, claims: dict[str, Any], method: str, path: str
) -> None:
    token = sign_token(ada.session["access_token"], **claims)
    response = edge.request(method, path, headers={"authorization": f"Bearer {token}"})
    assert read_problem(response) == (401, "UNAUTHENTICATED")


def test_refresh_token_is_no_access_token(ada: User, edge: httpx.Client) -> None:
    response = edge.get("/users/me", headers={"authorization": f"Bearer {ada.session['refresh_token']}"})
    assert read_problem(response) == (401, "UNAUTHENTICATED")
    refreshed = edge.post("/sessions/refresh", json={"refresh_token": ada.session["access_token"]})
    assert read_problem(refreshed) == (401, "REFRESH_TOKEN_INVALID")


def test_refreshed_session_is_no_recent_sign_in(ada: User) -> None:
    signed_in_at = jwt.decode(ada.session["access_token"], options={"verify_signature": False})["auth_time"]
    assert ada.refresh().is_success
    claims = jwt.decode(ada.session["access_token"], options={"verify_signature": False})
    assert claims["auth_time"] == signed_in_at


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/users/me/email", {"email": "thief@delivery.test"}), ("DELETE", "/users/me", None)],
)
def test_old_session_cannot_take_over_account(
    ada: User, edge: httpx.Client, sign_token: SignToken, method: str, path: str, body: dict[str, str] | None
) -> None:
    token = sign_token(ada.session["access_token"], auth_time=int(time.time()) - 301)
    headers = {"authorization": f"Bearer {token}"}
    response = edge.request(method, path, json=body, headers=headers)
    assert read_problem(response) == (401, "REAUTHENTICATION_REQUIRED")
    assert "insufficient_user_authentication" in response.headers["www-authenticate"]
    if body is not None:
        wrong = edge.request(method, path, json=body | {"password": "not-the-right-one"}, headers=headers)
        assert read_problem(wrong) == (422, "PASSWORD_WRONG")
        assert edge.request(method, path, json=body | {"password": PASSWORD}, headers=headers).status_code == 202
    assert ada.request("GET", "/users/me").json()["email"] == ada.email


def test_old_address_is_mailed_about_changes(ada: User) -> None:
    old, new = ada.email, f"new-{ada.email}"
    ada.wait_for_code(1)
    assert ada.request("POST", "/users/me/email", json={"email": new}).status_code == 202
    assert ada.confirm(ada.wait_for_code(1, new)).status_code == 204
    ada.email = new
    ada.sign_in()
    body = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.request("PUT", "/users/me/password", json=body).status_code == 204
    ada.password = NEW_PASSWORD
    assert ada.sign_in().request("DELETE", "/users/me").status_code == 204
    wait_until(lambda: len(ada.list_mails(old)) == 2, description="the old address is mailed")
    assert new in ada.list_mails(old)[1]["text"]
    wait_until(lambda: len(ada.list_mails(new)) == 3, description="mails about password and deletion arrive")
    assert {mail["subject"] for mail in ada.list_mails(new)[1:]} == {
        "Your password has changed",
        "Your account is deleted",
    }


def test_profile_in_a_shared_cache_is_not_revalidated_for_another_user(
    ada: User, edge: httpx.Client, sandbox: httpx.Client
) -> None:
    eve = User(edge, sandbox, first_name="Eve").sign_in()
    cached = ada.request("GET", "/users/me")
    assert cached.headers["cache-control"] == "private, no-store"
    assert "authorization" in cached.headers["vary"].lower()
    response = eve.request("GET", "/users/me", headers={"if-none-match": cached.headers["etag"]})
    assert (response.status_code, response.json()["id"]) == (200, eve.id)
