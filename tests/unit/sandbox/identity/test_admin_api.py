"""Admin API of the identity provider: credentials, accounts, queries and codes."""

from typing import Any

import httpx
import pytest

from services.sandbox.identity.accounts import Account, AccountRepository
from services.sandbox.identity.tokens import TokenIssuer

BASE = "/identitytoolkit.googleapis.com/v1/projects/delivery-local/accounts"
OWNER = {"authorization": "Bearer owner"}
EMAIL = "ada@delivery.test"
OPERATIONS = ["", ":lookup", ":update", ":delete", ":query", ":sendOobCode"]


async def call(client: httpx.AsyncClient, operation: str, **body: Any) -> dict[str, Any]:
    response = await client.post(BASE + operation, json=body, headers=OWNER)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


async def get_error(client: httpx.AsyncClient, operation: str, **body: Any) -> str:
    response = await client.post(BASE + operation, json=body, headers=OWNER)
    assert response.status_code == 400, response.text
    return str(response.json()["error"]["message"])


@pytest.fixture
def account(accounts: AccountRepository) -> Account:
    return accounts.create(EMAIL, "salt:hash", "u1")


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_access_token_is_required(
    client: httpx.AsyncClient, token_issuer: TokenIssuer, account: Account, operation: str
) -> None:
    id_token = token_issuer.create_id_token(account, 1)
    for headers in ({}, {"authorization": f"Bearer {id_token}"}):
        assert (await client.post(BASE + operation, json={}, headers=headers)).status_code == 401
    assert (await client.get(f"{BASE}:batchGet")).status_code == 401


async def test_other_project_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.post(BASE.replace("local", "other") + ":query", json={}, headers=OWNER)
    assert response.json()["error"]["message"] == "PROJECT_NOT_FOUND"


async def test_created_account_has_the_given_values(client: httpx.AsyncClient, accounts: AccountRepository) -> None:
    body = {
        "localId": "u2",
        "email": "Bob@Delivery.test",
        "displayName": "Bob",
        "emailVerified": True,
        "disabled": True,
    }
    result = await call(client, "", **body)
    assert (result["localId"], result["email"]) == ("u2", "bob@delivery.test")
    account = accounts.get("u2")
    assert (account.display_name, account.email_verified, account.disabled, account.password) == (
        "Bob",
        True,
        True,
        None,
    )


async def test_account_with_password_can_be_created(client: httpx.AsyncClient, accounts: AccountRepository) -> None:
    local_id = (await call(client, "", email=EMAIL, password="secret-1"))["localId"]
    assert accounts.get(local_id).password is not None


@pytest.mark.usefixtures("account")
async def test_duplicate_or_invalid_account_is_rejected(client: httpx.AsyncClient) -> None:
    assert await get_error(client, "", email=EMAIL) == "EMAIL_EXISTS"
    assert await get_error(client, "", email="new@delivery.test", localId="u1") == "DUPLICATE_LOCAL_ID"
    assert await get_error(client, "", email="x") == "INVALID_EMAIL"
    assert (await get_error(client, "", email=EMAIL, role="admin")).startswith("Invalid JSON payload received.")


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "body", [{"localId": ["u1", "missing"]}, {"email": [EMAIL.upper()]}, {"localId": ["u1"], "email": [EMAIL]}]
)
async def test_lookup_returns_each_existing_account_once(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert [user["localId"] for user in (await call(client, ":lookup", **body))["users"]] == ["u1"]


async def test_lookup_without_match_has_no_users(client: httpx.AsyncClient) -> None:
    assert await call(client, ":lookup", localId=["missing"]) == {"kind": "identitytoolkit#GetAccountInfoResponse"}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"displayName": "Ada"}, {"displayName": "Ada"}),
        ({"emailVerified": True}, {"emailVerified": True}),
        ({"disableUser": True}, {"disabled": True}),
        ({"customAttributes": '{"role":"admin"}'}, {"customAttributes": '{"role":"admin"}'}),
        ({"validSince": "2000000000"}, {"validSince": "2000000000"}),
        ({"validSince": 2000000000}, {"validSince": "2000000000"}),
        ({"email": "new@delivery.test"}, {"email": "new@delivery.test"}),
    ],
    ids=str,
)
async def test_update_changes_only_given_fields(
    client: httpx.AsyncClient, changes: dict[str, Any], shown: dict[str, Any]
) -> None:
    (before,) = (await call(client, ":lookup", localId=["u1"]))["users"]
    result = await call(client, ":update", localId="u1", **changes)
    unchanged = {*before} - {*shown, "providerUserInfo", "validSince"}
    assert {name: result[name] for name in shown} == shown
    assert {name: result[name] for name in unchanged} == {name: before[name] for name in unchanged}


@pytest.mark.usefixtures("account")
async def test_name_can_be_deleted(client: httpx.AsyncClient) -> None:
    await call(client, ":update", localId="u1", displayName="Ada")
    assert "displayName" not in await call(client, ":update", localId="u1", deleteAttribute=["DISPLAY_NAME"])


@pytest.mark.usefixtures("account")
async def test_new_address_is_not_verified_unless_given(client: httpx.AsyncClient) -> None:
    await call(client, ":update", localId="u1", emailVerified=True)
    assert (await call(client, ":update", localId="u1", email=EMAIL.upper()))["emailVerified"] is True
    assert (await call(client, ":update", localId="u1", email="b@delivery.test"))["emailVerified"] is False
    result = await call(client, ":update", localId="u1", email="c@delivery.test", emailVerified=True)
    assert result["emailVerified"] is True


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validSince": "soon"}, "INVALID_VALID_SINCE"),
        ({"validSince": "-1"}, "INVALID_VALID_SINCE"),
        ({"validSince": "1" * 13}, "INVALID_VALID_SINCE"),
        ({"validSince": "٣"}, "INVALID_VALID_SINCE"),
        ({"customAttributes": '{"sub": "me"}'}, "FORBIDDEN_CLAIM : sub"),
        ({"email": "x"}, "INVALID_EMAIL"),
        ({"password": "12345"}, "WEAK_PASSWORD : Password should be at least 6 characters"),
    ],
    ids=str,
)
async def test_invalid_update_changes_nothing(
    client: httpx.AsyncClient, accounts: AccountRepository, changes: dict[str, str], message: str
) -> None:
    before = accounts.get("u1")
    assert await get_error(client, ":update", localId="u1", displayName="Ada", **changes) == message
    assert accounts.get("u1") == before


async def test_unknown_account_is_not_found(client: httpx.AsyncClient) -> None:
    assert await get_error(client, ":update", localId="missing") == "USER_NOT_FOUND"
    assert await get_error(client, ":delete", localId="missing") == "USER_NOT_FOUND"


async def test_deleted_account_is_not_found(client: httpx.AsyncClient, account: Account) -> None:
    await call(client, ":delete", localId=account.local_id)
    assert await get_error(client, ":delete", localId=account.local_id) == "USER_NOT_FOUND"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ([], ["u0", "u1"]),
        ([{"email": EMAIL}], ["u1"]),
        ([{"userId": "u0"}], ["u0"]),
        ([{"email": "missing@delivery.test"}], []),
        ([{}], []),
    ],
)
async def test_query_finds_accounts_by_expression(
    client: httpx.AsyncClient, accounts: AccountRepository, expression: list[dict[str, str]], ids: list[str]
) -> None:
    accounts.create("zoe@delivery.test", None, "u0")
    result = await call(client, ":query", expression=expression)
    assert [user["localId"] for user in result["userInfo"]] == ids
    assert result["recordsCount"] == str(len(ids))
    counted = await call(client, ":query", expression=expression, returnUserInfo=False)
    assert counted == {"recordsCount": str(len(ids))}


async def batch_get(client: httpx.AsyncClient, **params: str) -> httpx.Response:
    return await client.get(f"{BASE}:batchGet", params=params, headers=OWNER)


async def test_pages_contain_every_account(client: httpx.AsyncClient, accounts: AccountRepository) -> None:
    for local_id in "abc":
        accounts.create(f"{local_id}@delivery.test", None, local_id)
    ids: list[str] = []
    params = {"maxResults": "2"}
    for _ in range(2):
        page = (await batch_get(client, **params)).json()
        ids += [user["localId"] for user in page["users"]]
        params["nextPageToken"] = page.get("nextPageToken", "")
    assert ids == ["a", "b", "c"]
    assert params["nextPageToken"] == ""


@pytest.mark.parametrize("size", ["0", "1001", "-1", "x", "", "٣"])
async def test_invalid_page_size_is_rejected(client: httpx.AsyncClient, size: str) -> None:
    response = await batch_get(client, maxResults=size)
    assert response.json()["error"]["message"] == "INVALID_PAGE_SELECTION"


@pytest.mark.usefixtures("account")
async def test_code_is_mailed_or_returned(client: httpx.AsyncClient, mails: list[tuple[str, str, str]]) -> None:
    body = {"requestType": "VERIFY_EMAIL", "email": EMAIL}
    assert "oobLink" not in await call(client, ":sendOobCode", **body)
    assert "oobLink" in await call(client, ":sendOobCode", **body, returnOobLink=True)
    assert [address for address, *_ in mails] == [EMAIL]
