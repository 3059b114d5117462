"""Emulated Google and Apple: id tokens, and how accounts are found and created."""

import hashlib
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from services.sandbox.identity.accounts import AccountRepository
from services.sandbox.identity.client_api import IdentityClientApi
from services.sandbox.identity.out_of_band_codes import OobCodeSender
from services.sandbox.identity.providers import IdentityProviders
from services.sandbox.identity.tokens import TokenIssuer
from services.sandbox.store import SqliteDatabase
from tests.unit.sandbox.components import create_client

BASE = "/identitytoolkit.googleapis.com/v1/accounts:"
EMAIL = "ada@delivery.test"


@pytest.fixture
def client(
    database: SqliteDatabase, accounts: AccountRepository, token_issuer: TokenIssuer, oob_codes: OobCodeSender
) -> httpx.AsyncClient:
    return create_client(
        IdentityClientApi(accounts, token_issuer, oob_codes, "delivery-local"),
        IdentityProviders(database, accounts, token_issuer),
    )


async def issue_token(client: httpx.AsyncClient, provider: str = "google.com", **claims: Any) -> str:
    response = await client.post(f"/providers/{provider}/tokens", json={"sub": "g1", "email": EMAIL} | claims)
    return str(response.json()["id_token"])


async def sign_in(client: httpx.AsyncClient, token: str, provider: str = "google.com", **form: str) -> httpx.Response:
    form = {"id_token": token, "providerId": provider} | form
    body = {"postBody": urlencode(form), "requestUri": "http://localhost", "returnSecureToken": True}
    return await client.post(f"{BASE}signInWithIdp", params={"key": "k"}, json=body)


async def sign_up(client: httpx.AsyncClient) -> str:
    body = {"email": EMAIL, "password": "secret-1", "returnSecureToken": True}
    return str((await client.post(f"{BASE}signUp", params={"key": "k"}, json=body)).json()["localId"])


async def has_password(client: httpx.AsyncClient) -> bool:
    body = {"email": EMAIL, "password": "secret-1", "returnSecureToken": True}
    return (await client.post(f"{BASE}signInWithPassword", params={"key": "k"}, json=body)).status_code == 200


async def test_first_sign_in_creates_account(client: httpx.AsyncClient, token_issuer: TokenIssuer) -> None:
    token = await issue_token(client, given_name="Ada")
    first, second = [(await sign_in(client, token)).json() for _ in range(2)]
    assert token_issuer.verify_id_token(first["idToken"])[0] == first["localId"]
    assert (first["email"], first["emailVerified"], first["firstName"]) == (EMAIL, True, "Ada")
    assert (first["isNewUser"], second["isNewUser"]) == (True, False)
    assert first["localId"] == second["localId"]
    renamed = await sign_in(client, await issue_token(client, email="new@delivery.test"))
    assert (renamed.json()["localId"], renamed.json()["email"]) == (first["localId"], EMAIL)


async def test_verified_address_removes_password_of_unverified_account(client: httpx.AsyncClient) -> None:
    local_id = await sign_up(client)
    signed_in = (await sign_in(client, await issue_token(client))).json()
    assert (signed_in["localId"], signed_in["emailVerified"]) == (local_id, True)
    assert not await has_password(client)


async def test_verified_account_has_password_after_sign_in(
    client: httpx.AsyncClient, accounts: AccountRepository
) -> None:
    local_id = await sign_up(client)
    accounts.save(accounts.get(local_id).__replace__(email_verified=True))
    token = await issue_token(client, "apple.com")
    assert (await sign_in(client, token, "apple.com")).json()["localId"] == local_id
    assert await has_password(client)


async def test_unverified_address_needs_confirmation(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    response = await sign_in(client, await issue_token(client, email_verified=False))
    assert response.json() == {"email": EMAIL, "needConfirmation": True}
    assert await has_password(client)


async def test_token_of_deleted_account_creates_another_one(
    client: httpx.AsyncClient, accounts: AccountRepository
) -> None:
    token = await issue_token(client)
    first = (await sign_in(client, token)).json()["localId"]
    accounts.delete(first)
    assert (await sign_in(client, token)).json()["localId"] != first


async def test_invalid_token_is_rejected(client: httpx.AsyncClient) -> None:
    token, digest = await issue_token(client), hashlib.sha256(b"n1").hexdigest()
    with_nonce = await issue_token(client, nonce=digest)
    responses = [
        await sign_in(client, token, "apple.com"),
        await sign_in(client, token[:-4] + "AAAA"),
        await sign_in(client, token, "facebook.com"),
        await sign_in(client, with_nonce),
        await sign_in(client, with_nonce, nonce="n2"),
    ]
    codes = [response.json()["error"]["message"].split(" ")[0] for response in responses]
    assert codes == [*["INVALID_IDP_RESPONSE"] * 2, "INVALID_PROVIDER_ID", *["MISSING_OR_INVALID_NONCE"] * 2]
    assert (await sign_in(client, with_nonce, nonce="n1")).status_code == 200


async def test_sign_in_to_disabled_account_is_rejected(client: httpx.AsyncClient, accounts: AccountRepository) -> None:
    token = await issue_token(client)
    local_id = (await sign_in(client, token)).json()["localId"]
    accounts.save(accounts.get(local_id).__replace__(disabled=True))
    assert (await sign_in(client, token)).json()["error"]["message"] == "USER_DISABLED"


async def test_unknown_provider_issues_no_tokens(client: httpx.AsyncClient) -> None:
    assert (await client.post("/providers/x/tokens", json={"sub": "1", "email": EMAIL})).status_code == 404
