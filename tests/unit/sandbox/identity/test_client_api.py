"""Client API of the identity provider: accounts, sessions and codes of apps."""

import time
from typing import Any

import httpx
import jwt
import msgspec
import pytest

from services.sandbox.identity.accounts import Account, AccountRepository, OobCodeKind
from services.sandbox.identity.tokens import TokenIssuer
from services.sandbox.mail.mailbox import find_code

BASE = "/identitytoolkit.googleapis.com/v1/accounts:"
EMAIL, NEW_EMAIL, PASSWORD, NEW_PASSWORD = "ada@delivery.test", "new@delivery.test", "secret-1", "secret-2"


async def call(client: httpx.AsyncClient, operation: str, **body: Any) -> dict[str, Any]:
    response = await client.post(BASE + operation, params={"key": "k"}, json=body)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


async def get_error(client: httpx.AsyncClient, operation: str, **body: Any) -> str:
    response = await client.post(BASE + operation, params={"key": "k"}, json=body)
    assert response.status_code in (400, 403), response.text
    return str(response.json()["error"]["message"])


async def sign_up(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    return await call(client, "signUp", **{"email": EMAIL, "password": PASSWORD} | changes)


async def refresh(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    form = {"grant_type": "refresh_token"} | form
    return await client.post("/securetoken.googleapis.com/v1/token", params={"key": "k"}, data=form)


@pytest.mark.parametrize("operation", ["signUp", "signInWithPassword", "lookup", "update", "delete", "sendOobCode"])
@pytest.mark.parametrize("params", [{}, {"key": ""}])
async def test_api_key_is_required(client: httpx.AsyncClient, operation: str, params: dict[str, str]) -> None:
    response = await client.post(BASE + operation, params=params, json={})
    assert response.status_code == 403


async def test_sign_up_creates_account_and_session(client: httpx.AsyncClient, token_issuer: TokenIssuer) -> None:
    result = await sign_up(client, email="Ada@Delivery.test", displayName="Ada")
    assert (result["email"], result["expiresIn"]) == (EMAIL, "3600")
    assert token_issuer.verify_id_token(result["idToken"])[0] == result["localId"]
    (user,) = (await call(client, "lookup", idToken=result["idToken"]))["users"]
    assert (user["localId"], user["displayName"], user["emailVerified"]) == (result["localId"], "Ada", False)


async def test_registered_or_invalid_address_or_weak_password_is_rejected(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    assert await get_error(client, "signUp", email=EMAIL.upper(), password=PASSWORD) == "EMAIL_EXISTS"
    assert await get_error(client, "signUp", email="x", password=PASSWORD) == "INVALID_EMAIL"
    assert (await get_error(client, "signUp", email=NEW_EMAIL, password="12345")).startswith("WEAK_PASSWORD")
    assert (await get_error(client, "signUp", mail=EMAIL)).startswith("Invalid JSON payload received.")


async def test_sign_in_does_not_reveal_which_credential_is_wrong(client: httpx.AsyncClient) -> None:
    account = await sign_up(client)
    session = await call(client, "signInWithPassword", email=EMAIL, password=PASSWORD)
    assert (session["localId"], session["registered"], session["displayName"]) == (account["localId"], True, "")
    errors = [
        await get_error(client, "signInWithPassword", email=email, password=password)
        for email, password in ((EMAIL, NEW_PASSWORD), (NEW_EMAIL, PASSWORD))
    ]
    assert errors == ["INVALID_LOGIN_CREDENTIALS"] * 2


async def disable(accounts: AccountRepository) -> Account:
    account = accounts.find_by_email(EMAIL)
    assert account is not None
    return accounts.save(msgspec.structs.replace(account, disabled=True))


async def test_disabled_account_has_no_access(client: httpx.AsyncClient, accounts: AccountRepository) -> None:
    session = await sign_up(client)
    await disable(accounts)
    assert await get_error(client, "signInWithPassword", email=EMAIL, password=PASSWORD) == "USER_DISABLED"
    assert await get_error(client, "signInWithPassword", email=EMAIL, password="wrong") == "INVALID_LOGIN_CREDENTIALS"
    assert await get_error(client, "lookup", idToken=session["idToken"]) == "USER_DISABLED"
    response = await refresh(client, refresh_token=session["refreshToken"])
    assert response.json()["error"]["message"] == "USER_DISABLED"


async def test_refresh_returns_current_claims(client: httpx.AsyncClient, accounts: AccountRepository) -> None:
    session = await sign_up(client)
    accounts.save(msgspec.structs.replace(accounts.get(session["localId"]), custom_attributes='{"role": "admin"}'))
    result = (await refresh(client, refresh_token=session["refreshToken"])).json()
    claims = jwt.decode(result["id_token"], options={"verify_signature": False})
    assert (claims["role"], claims["sub"]) == ("admin", session["localId"])
    assert (result["user_id"], result["token_type"], result["expires_in"]) == (session["localId"], "Bearer", "3600")
    assert result["refresh_token"] == session["refreshToken"]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"grant_type": "password"}, "INVALID_GRANT_TYPE"),
        ({}, "MISSING_REFRESH_TOKEN"),
        ({"refresh_token": "nonsense"}, "INVALID_REFRESH_TOKEN"),
    ],
)
async def test_invalid_refresh_is_rejected(client: httpx.AsyncClient, form: dict[str, str], message: str) -> None:
    assert (await refresh(client, **form)).json()["error"]["message"] == message


async def test_deleted_account_is_not_found(client: httpx.AsyncClient) -> None:
    session = await sign_up(client)
    await call(client, "delete", idToken=session["idToken"])
    assert await get_error(client, "lookup", idToken=session["idToken"]) == "USER_NOT_FOUND"
    await sign_up(client)


async def test_new_password_ends_sessions_and_may_begin_one(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_at = time.time() - 10
    with monkeypatch.context() as earlier:
        earlier.setattr(time, "time", lambda: started_at)
        session = await sign_up(client)
    result = await call(client, "update", idToken=session["idToken"], password=NEW_PASSWORD, returnSecureToken=True)
    assert await get_error(client, "lookup", idToken=session["idToken"]) == "TOKEN_EXPIRED"
    assert await call(client, "lookup", idToken=result["idToken"])
    assert await call(client, "signInWithPassword", email=EMAIL, password=NEW_PASSWORD)


async def test_name_is_changed_and_deleted(client: httpx.AsyncClient) -> None:
    token = (await sign_up(client))["idToken"]
    assert (await call(client, "update", idToken=token, displayName="Ada"))["displayName"] == "Ada"
    assert (await call(client, "update", idToken=token))["displayName"] == "Ada"
    result = await call(client, "update", idToken=token, deleteAttribute=["DISPLAY_NAME"])
    assert "displayName" not in result
    assert "idToken" not in result


async def test_new_address_requires_a_code(client: httpx.AsyncClient) -> None:
    token = (await sign_up(client))["idToken"]
    assert (await get_error(client, "update", idToken=token, email=NEW_EMAIL)).startswith("OPERATION_NOT_ALLOWED")
    assert await call(client, "update", idToken=token, email=EMAIL.upper()), "the same address is accepted"
    assert await get_error(client, "update", displayName="Ada") == "MISSING_ID_TOKEN"


async def send_code(client: httpx.AsyncClient, mails: list[tuple[str, str, str]], **body: Any) -> str:
    await call(client, "sendOobCode", **body)
    code = find_code(mails[-1][2])
    assert code is not None
    return code


async def test_address_is_verified_by_its_code(client: httpx.AsyncClient, mails: list[tuple[str, str, str]]) -> None:
    token = (await sign_up(client))["idToken"]
    code = await send_code(client, mails, requestType="VERIFY_EMAIL", idToken=token)
    assert (await call(client, "update", oobCode=code))["emailVerified"] is True
    assert await get_error(client, "update", oobCode=code) == "INVALID_OOB_CODE"


async def test_address_is_changed_by_its_code(client: httpx.AsyncClient, mails: list[tuple[str, str, str]]) -> None:
    token = (await sign_up(client))["idToken"]
    body = {"requestType": "VERIFY_AND_CHANGE_EMAIL", "idToken": token, "newEmail": NEW_EMAIL}
    code = await send_code(client, mails, **body)
    assert await call(client, "resetPassword", oobCode=code) == {
        "kind": "identitytoolkit#ResetPasswordResponse",
        "email": EMAIL,
        "requestType": "VERIFY_AND_CHANGE_EMAIL",
        "newEmail": NEW_EMAIL,
    }
    assert (await call(client, "update", oobCode=code))["email"] == NEW_EMAIL
    assert await call(client, "signInWithPassword", email=NEW_EMAIL, password=PASSWORD)


async def test_code_of_an_address_registered_meanwhile_stays_valid(
    client: httpx.AsyncClient, mails: list[tuple[str, str, str]], accounts: AccountRepository
) -> None:
    token = (await sign_up(client))["idToken"]
    body = {"requestType": "VERIFY_AND_CHANGE_EMAIL", "idToken": token, "newEmail": NEW_EMAIL}
    code = await send_code(client, mails, **body)
    other = accounts.create(NEW_EMAIL, None)
    assert await get_error(client, "update", oobCode=code) == "EMAIL_EXISTS"
    accounts.delete(other.local_id)
    assert (await call(client, "update", oobCode=code))["email"] == NEW_EMAIL


async def test_password_is_reset_by_its_code(client: httpx.AsyncClient, mails: list[tuple[str, str, str]]) -> None:
    await sign_up(client)
    code = await send_code(client, mails, requestType="PASSWORD_RESET", email=EMAIL)
    assert (await get_error(client, "resetPassword", oobCode=code, newPassword="12345")).startswith("WEAK_PASSWORD")
    await call(client, "resetPassword", oobCode=code, newPassword=NEW_PASSWORD)
    session = await call(client, "signInWithPassword", email=EMAIL, password=NEW_PASSWORD)
    (user,) = (await call(client, "lookup", idToken=session["idToken"]))["users"]
    assert user["emailVerified"] is True, "the code proves the address"
    assert await get_error(client, "resetPassword", oobCode=code, newPassword=PASSWORD) == "INVALID_OOB_CODE"


async def test_code_of_another_kind_is_rejected(client: httpx.AsyncClient, accounts: AccountRepository) -> None:
    account = accounts.get((await sign_up(client))["localId"])
    reset = accounts.create_code(account, OobCodeKind.PASSWORD_RESET)
    verify = accounts.create_code(account, OobCodeKind.VERIFY_EMAIL)
    assert await get_error(client, "update", oobCode=reset) == "INVALID_OOB_CODE"
    assert await get_error(client, "resetPassword", oobCode=verify, newPassword=NEW_PASSWORD) == "INVALID_OOB_CODE"


async def test_link_is_not_returned_to_apps(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    body = {"requestType": "PASSWORD_RESET", "email": EMAIL, "returnOobLink": True}
    assert await get_error(client, "sendOobCode", **body) == "INSUFFICIENT_PERMISSION"


@pytest.mark.parametrize("token", ["nonsense", ""])
async def test_invalid_id_token_is_rejected(client: httpx.AsyncClient, token: str) -> None:
    assert await get_error(client, "lookup", idToken=token) == "INVALID_ID_TOKEN"


async def exchange(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    return await client.post("/oauth2/token", data=grant | form)


async def test_assertion_is_exchanged_for_access_token(client: httpx.AsyncClient, token_issuer: TokenIssuer) -> None:
    claims = {"iss": "gateway@delivery.test", "aud": "token", "exp": int(time.time()) + 60}
    response = await exchange(client, assertion=jwt.encode(claims, "key" * 20, "HS256"))
    assert token_issuer.is_admin(f"Bearer {response.json()['access_token']}")
    assert response.headers["cache-control"] == "no-store"


async def test_invalid_grant_has_error_of_oauth(client: httpx.AsyncClient) -> None:
    assert (await exchange(client, grant_type="password")).json() == {"error": "unsupported_grant_type"}
    for form in ({}, {"assertion": "nonsense"}):
        response = await exchange(client, **form)
        assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})


async def test_key_set_is_public_and_cacheable(client: httpx.AsyncClient, token_issuer: TokenIssuer) -> None:
    response = await client.get("/jwks.json")
    assert response.json() == token_issuer.build_jwks()
    assert response.headers["cache-control"] == "public, max-age=300"
