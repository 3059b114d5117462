"""Emulated identity provider, tested with Google's admin library and over REST."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import firebase_admin
import httpx
import jwt
import pytest
from firebase_admin import auth

from tests.integration.sandbox.conftest import PROJECT, Sandbox

CLIENT = "/identitytoolkit.googleapis.com/v1/accounts:"
ADMIN = f"/identitytoolkit.googleapis.com/v1/projects/{PROJECT}/accounts"
KEY = {"key": "any"}
OWNER = {"authorization": "Bearer owner"}
PASSWORD = "correct horse"


def new_email() -> str:
    return f"{uuid4().hex}@delivery.test"


@pytest.fixture
def admin(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[firebase_admin.App]:
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", f"127.0.0.1:{sandbox.port}")
    app = firebase_admin.initialize_app(options={"projectId": PROJECT}, name=uuid4().hex)
    yield app
    firebase_admin.delete_app(app)


def call(http: httpx.Client, operation: str, **body: object) -> httpx.Response:
    return http.post(CLIENT + operation, params=KEY, json=body)


def refresh(http: httpx.Client, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return http.post("/securetoken.googleapis.com/v1/token", params=KEY, data=form)


def error_message(response: httpx.Response) -> str:
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["code"] == 400
    assert error["errors"][0]["message"] == error["message"]
    return str(error["message"])


def test_sign_in_returns_token_in_firebase_format(http: httpx.Client) -> None:
    email = new_email()
    account = call(http, "signUp", email=email.upper(), password=PASSWORD, returnSecureToken=True).json()
    session = call(http, "signInWithPassword", email=email, password=PASSWORD, returnSecureToken=True).json()
    assert session["localId"] == account["localId"]
    assert session["expiresIn"] == "3600"
    [key] = http.get("/jwks.json").json()["keys"]
    assert jwt.get_unverified_header(session["idToken"]) == {"alg": "RS256", "typ": "JWT", "kid": key["kid"]}
    claims = jwt.decode(
        session["idToken"],
        jwt.PyJWK(key),
        ["RS256"],
        audience=PROJECT,
        issuer=f"https://securetoken.google.com/{PROJECT}",
    )
    assert claims["sub"] == claims["user_id"] == account["localId"]
    assert claims["email"] == email
    assert claims["email_verified"] is False
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["firebase"] == {"identities": {"email": [email]}, "sign_in_provider": "password"}


def test_errors_match_google(http: httpx.Client) -> None:
    email = new_email()
    call(http, "signUp", email=email, password=PASSWORD)
    assert error_message(call(http, "signUp", email=email, password=PASSWORD)) == "EMAIL_EXISTS"
    assert error_message(call(http, "signUp", email="invalid", password=PASSWORD)) == "INVALID_EMAIL"
    assert error_message(call(http, "signUp", email=new_email(), password="12345")).startswith("WEAK_PASSWORD")
    assert error_message(call(http, "signInWithPassword", email=email, password="wrong")) == "INVALID_LOGIN_CREDENTIALS"
    unknown = call(http, "signInWithPassword", email=new_email(), password=PASSWORD)
    assert error_message(unknown) == "INVALID_LOGIN_CREDENTIALS"
    assert error_message(call(http, "lookup", idToken="nonsense")) == "INVALID_ID_TOKEN"
    assert error_message(call(http, "signUp", mail=email)).startswith("Invalid JSON payload received.")
    assert error_message(refresh(http, "nonsense")) == "INVALID_REFRESH_TOKEN"
    assert http.post(CLIENT + "signUp", json={}).status_code == 403
    assert http.post(ADMIN, json={}).status_code == 401
    assert http.post(ADMIN, json={}, headers={"authorization": "Bearer nonsense"}).status_code == 401


def test_id_token_cannot_call_admin_api(http: httpx.Client) -> None:
    token = call(http, "signUp", email=new_email(), password=PASSWORD).json()["idToken"]
    response = http.get(ADMIN + ":batchGet", headers={"authorization": f"Bearer {token}"})
    assert response.status_code == 401


def test_custom_claims_are_in_next_token(http: httpx.Client, admin: firebase_admin.App) -> None:
    email = new_email()
    user = auth.create_user(email=email, password=PASSWORD, email_verified=True, app=admin)
    session = call(http, "signInWithPassword", email=email, password=PASSWORD).json()
    auth.set_custom_user_claims(user.uid, {"role": "admin"}, app=admin)
    renewed = refresh(http, session["refreshToken"]).json()
    claims = jwt.decode(renewed["access_token"], options={"verify_signature": False})
    assert claims["role"] == "admin"
    assert claims["email_verified"] is True
    assert claims["auth_time"] == jwt.decode(session["idToken"], options={"verify_signature": False})["auth_time"]
    reserved = http.post(
        ADMIN + ":update", headers=OWNER, json={"localId": user.uid, "customAttributes": '{"sub": "me"}'}
    )
    assert error_message(reserved) == "FORBIDDEN_CLAIM : sub"


def test_admin_library_finds_updates_and_deletes_account(http: httpx.Client, admin: firebase_admin.App) -> None:
    email, other = new_email(), new_email()
    user = auth.create_user(email=email, password=PASSWORD, display_name="Ada", app=admin)
    assert auth.get_user_by_email(email, app=admin).uid == user.uid
    assert auth.get_user(user.uid, app=admin).display_name == "Ada"
    assert user.uid in {found.uid for found in auth.list_users(max_results=5, app=admin).iterate_all()}
    with pytest.raises(auth.EmailAlreadyExistsError):
        auth.create_user(email=email, app=admin)
    with pytest.raises(auth.UserNotFoundError):
        auth.get_user("unknown", app=admin)
    changed = auth.update_user(user.uid, email=other, display_name=auth.DELETE_ATTRIBUTE, disabled=True, app=admin)
    assert (changed.email, changed.display_name, changed.disabled) == (other, None, True)
    assert error_message(call(http, "signInWithPassword", email=other, password=PASSWORD)) == "USER_DISABLED"
    found = http.post(ADMIN + ":query", headers=OWNER, json={"expression": [{"email": other}]}).json()
    assert [user_info["localId"] for user_info in found["userInfo"]] == [user.uid]
    auth.delete_user(user.uid, app=admin)
    assert (
        error_message(call(http, "signInWithPassword", email=other, password=PASSWORD)) == "INVALID_LOGIN_CREDENTIALS"
    )


def test_revoke_ends_only_existing_sessions(http: httpx.Client, admin: firebase_admin.App) -> None:
    email = new_email()
    account = call(http, "signUp", email=email, password=PASSWORD).json()
    auth.revoke_refresh_tokens(account["localId"], app=admin)
    later = call(http, "signInWithPassword", email=email, password=PASSWORD).json()
    assert error_message(refresh(http, account["refreshToken"])) == "TOKEN_EXPIRED"
    assert refresh(http, later["refreshToken"]).json()["user_id"] == account["localId"]


def test_password_change_ends_sessions_and_returns_new_one(http: httpx.Client) -> None:
    email = new_email()
    account = call(http, "signUp", email=email, password=PASSWORD).json()
    changed = call(http, "update", idToken=account["idToken"], password="another horse", returnSecureToken=True).json()
    assert error_message(refresh(http, account["refreshToken"])) == "TOKEN_EXPIRED"
    assert refresh(http, changed["refreshToken"]).status_code == 200
    assert (
        error_message(call(http, "signInWithPassword", email=email, password=PASSWORD)) == "INVALID_LOGIN_CREDENTIALS"
    )


def test_email_code_is_single_use(http: httpx.Client) -> None:
    email = new_email()
    account = call(http, "signUp", email=email, password=PASSWORD).json()
    sent = call(http, "sendOobCode", requestType="VERIFY_EMAIL", idToken=account["idToken"]).json()
    assert sent["email"] == email
    [mail] = http.get(f"/mailbox/{email}").json()
    assert call(http, "update", oobCode=mail["code"]).json()["emailVerified"] is True
    assert error_message(call(http, "update", oobCode=mail["code"])) == "INVALID_OOB_CODE"
    assert refresh(http, account["refreshToken"]).status_code == 200


def test_password_reset_requires_code_and_hides_accounts(http: httpx.Client) -> None:
    email, unknown_email = new_email(), new_email()
    account = call(http, "signUp", email=email, password=PASSWORD).json()
    for address in (email, unknown_email):
        assert call(http, "sendOobCode", requestType="PASSWORD_RESET", email=address).json()["email"] == address
    assert http.get(f"/mailbox/{unknown_email}").json() == []
    [mail] = http.get(f"/mailbox/{email}").json()
    assert call(http, "resetPassword", oobCode=mail["code"]).json()["requestType"] == "PASSWORD_RESET"
    assert call(http, "resetPassword", oobCode=mail["code"], newPassword="third horse").status_code == 200
    assert error_message(call(http, "resetPassword", oobCode=mail["code"], newPassword="x" * 8)) == "INVALID_OOB_CODE"
    assert call(http, "signInWithPassword", email=email, password="third horse").status_code == 200
    assert error_message(refresh(http, account["refreshToken"])) == "TOKEN_EXPIRED"


def test_email_change_requires_code_mailed_to_new_address(http: httpx.Client) -> None:
    email, other = new_email(), new_email()
    account = call(http, "signUp", email=email, password=PASSWORD).json()
    assert error_message(call(http, "update", idToken=account["idToken"], email=other)).startswith(
        "OPERATION_NOT_ALLOWED"
    )
    code_request = {"requestType": "VERIFY_AND_CHANGE_EMAIL", "newEmail": other}
    assert error_message(call(http, "sendOobCode", email=email, **code_request)) == "MISSING_ID_TOKEN"
    assert call(http, "sendOobCode", idToken=account["idToken"], **code_request).status_code == 200
    [mail] = http.get(f"/mailbox/{other}").json()
    assert call(http, "update", oobCode=mail["code"]).json()["email"] == other
    assert call(http, "signInWithPassword", email=other, password=PASSWORD).status_code == 200


def test_admin_library_receives_links_instead_of_mails(http: httpx.Client, admin: firebase_admin.App) -> None:
    email = new_email()
    auth.create_user(email=email, password=PASSWORD, app=admin)
    link = httpx.URL(auth.generate_email_verification_link(email, app=admin))
    assert http.get(f"/mailbox/{email}").json() == []
    assert call(http, "update", oobCode=link.params["oobCode"]).json()["emailVerified"] is True
    with pytest.raises(auth.EmailNotFoundError):
        auth.generate_password_reset_link(new_email(), app=admin)


def test_concurrent_sign_up_creates_one_account(http: httpx.Client, sandbox: Sandbox) -> None:
    email, statuses = new_email(), []

    def sign_up() -> None:
        body = {"email": email, "password": PASSWORD}
        statuses.append(httpx.post(f"{sandbox.url}{CLIENT}signUp", params=KEY, json=body).status_code)

    threads = [threading.Thread(target=sign_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [400] * 7


def test_accounts_and_sessions_survive_sigkill(tmp_path: Path, signing_key: bytes, apple_key: bytes) -> None:
    (tmp_path / "key.pem").write_bytes(signing_key)
    (tmp_path / "apns.p8").write_bytes(apple_key)
    sandbox, email = Sandbox(tmp_path), new_email()
    sandbox.start()
    with httpx.Client(base_url=sandbox.url) as http:
        account = call(http, "signUp", email=email, password=PASSWORD).json()
    sandbox.stop(signal.SIGKILL)
    sandbox.start()
    try:
        with httpx.Client(base_url=sandbox.url) as http:
            assert refresh(http, account["refreshToken"]).json()["user_id"] == account["localId"]
            assert call(http, "signInWithPassword", email=email, password=PASSWORD).status_code == 200
    finally:
        sandbox.stop()
    stored = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir())
    assert PASSWORD.encode() not in stored
    assert account["refreshToken"].encode() not in stored
