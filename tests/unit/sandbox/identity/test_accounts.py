"""Accounts, sessions and out-of-band codes of the identity provider."""

import asyncio
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.identity import accounts as module
from services.sandbox.identity.accounts import (
    Account,
    AccountRepository,
    IdentityError,
    OobCodeKind,
    hash_password,
    is_password_correct,
    normalise_email,
    validate_claims,
)
from services.sandbox.store import SqliteDatabase

EMAIL = "ada@delivery.test"
HOUR_S = 3600


class Clock:
    """Clock that replaces `time.time`."""

    def __init__(self) -> None:
        self.now = 1_767_225_600.5

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "time", clock)
    return clock


@pytest.fixture
def account(clock: Clock, accounts: AccountRepository) -> Account:
    return accounts.create(EMAIL, "salt:hash")


def get_error(session: str, accounts: AccountRepository) -> str:
    with pytest.raises(IdentityError) as raised:
        accounts.get_session(session)
    return raised.value.message


@pytest.mark.parametrize("email", ["", "ada", "@delivery.test", "ada@", "a da@delivery.test", "a@b@c", "x" * 65 + "@a"])
def test_invalid_email_is_rejected(email: str) -> None:
    with pytest.raises(IdentityError, match="INVALID_EMAIL"):
        normalise_email(email)


def test_email_is_stored_in_lower_case() -> None:
    assert normalise_email("Ada@Delivery.TEST") == EMAIL


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("", "INVALID_CLAIMS"),
        ("[]", "INVALID_CLAIMS"),
        ('"role"', "INVALID_CLAIMS"),
        ('{"sub": "me"}', "FORBIDDEN_CLAIM : sub"),
        ('{"role": "admin", "exp": 1, "aud": "x"}', "FORBIDDEN_CLAIM : aud"),
        ('{"role": "' + "x" * 1000 + '"}', "CLAIMS_TOO_LARGE"),
    ],
)
def test_invalid_claims_are_rejected(attributes: str, message: str) -> None:
    with pytest.raises(IdentityError) as raised:
        validate_claims(attributes)
    assert raised.value.message == message


@pytest.mark.parametrize("attributes", ["{}", '{"role": "admin"}', '{"a": "' + "x" * 991 + '"}'])
def test_valid_claims_are_returned_unchanged(attributes: str) -> None:
    assert validate_claims(attributes) == attributes


async def test_password_is_verified_against_its_salted_hash(account: Account) -> None:
    first, second = await asyncio.gather(hash_password("secret"), hash_password("secret"))
    assert first != second, "the salt differs"
    assert "secret" not in first
    stored = msgspec.structs.replace(account, password=first)
    assert await is_password_correct(stored, "secret")
    assert not await is_password_correct(stored, "Secret")


async def test_account_without_password_has_no_correct_password(account: Account) -> None:
    for each in (None, msgspec.structs.replace(account, password=None)):
        for password in ("", "secret"):
            assert not await is_password_correct(each, password)


@pytest.mark.parametrize("password", ["", "12345"])
async def test_short_password_is_rejected(password: str) -> None:
    with pytest.raises(IdentityError, match="WEAK_PASSWORD"):
        await hash_password(password)


def test_created_account_has_defaults(clock: Clock, account: Account) -> None:
    assert account == Account(
        local_id=account.local_id,
        email=EMAIL,
        password="salt:hash",
        valid_since=int(clock.now),
        created_at=int(clock.now * 1000),
        password_updated_at=int(clock.now * 1000),
    )
    assert len(account.local_id) == 28


def test_account_is_found_by_id_and_any_case_of_its_email(accounts: AccountRepository, account: Account) -> None:
    assert accounts.find_by_id(account.local_id) == account
    assert accounts.find_by_email("ADA@delivery.test") == account
    assert accounts.find_by_email("other@delivery.test") is accounts.find_by_id("other") is None
    with pytest.raises(IdentityError, match="USER_NOT_FOUND"):
        accounts.get("other")


def test_email_and_id_are_unique(accounts: AccountRepository, account: Account) -> None:
    with pytest.raises(IdentityError, match="EMAIL_EXISTS"):
        accounts.create(EMAIL, None)
    with pytest.raises(IdentityError, match="DUPLICATE_LOCAL_ID"):
        accounts.create("other@delivery.test", None, account.local_id)
    other = accounts.create("other@delivery.test", None, "other")
    with pytest.raises(IdentityError, match="EMAIL_EXISTS"):
        accounts.save(msgspec.structs.replace(other, email=EMAIL))


def test_pages_contain_every_account_once(accounts: AccountRepository) -> None:
    for local_id in ("c", "a", "d", "b"):
        accounts.create(f"{local_id}@delivery.test", None, local_id)
    pages = [[each.local_id for each in accounts.list_page(after, 2)] for after in ("", "b", "d")]
    assert pages == [["a", "b"], ["c", "d"], []]


def test_session_belongs_to_its_account(clock: Clock, accounts: AccountRepository, account: Account) -> None:
    token, started_at = accounts.create_session(account)
    stored, auth_time = accounts.get_session(token)
    assert (stored.local_id, auth_time) == (account.local_id, started_at)
    assert stored.last_login_at == int(clock.now * 1000)
    assert get_error(token + "x", accounts) == "INVALID_REFRESH_TOKEN"


def test_secrets_are_stored_as_digests(database: SqliteDatabase, accounts: AccountRepository, account: Account) -> None:
    token, _ = accounts.create_session(account)
    code = accounts.create_code(account, OobCodeKind.VERIFY_EMAIL)
    rows = [dict(row) for table in ("refresh_tokens", "codes") for row in database.fetch_all(f"SELECT * FROM {table}")]  # noqa: S608
    assert len(rows) == 2
    assert token not in str(rows)
    assert code not in str(rows)


@pytest.mark.parametrize("changes", [{"email": "new@delivery.test"}, {"password": "salt:other"}])
def test_change_of_credentials_ends_sessions(
    clock: Clock, accounts: AccountRepository, account: Account, changes: dict[str, str]
) -> None:
    before, _ = accounts.create_session(account)
    clock.now += 10
    changed = accounts.save(msgspec.structs.replace(account, **changes))
    after, _ = accounts.create_session(changed)
    assert get_error(before, accounts) == "TOKEN_EXPIRED"
    assert accounts.get_session(after)[0].email == changed.email


@pytest.mark.parametrize("changes", [{"display_name": "Ada"}, {"email_verified": True}, {"custom_attributes": "{}"}])
def test_other_changes_keep_sessions(
    clock: Clock, accounts: AccountRepository, account: Account, changes: dict[str, object]
) -> None:
    token, _ = accounts.create_session(account)
    clock.now += 10
    accounts.save(msgspec.structs.replace(account, **changes))
    assert accounts.get_session(token)[0].local_id == account.local_id


def test_password_change_in_the_second_of_a_session_ends_it(accounts: AccountRepository, account: Account) -> None:
    before, _ = accounts.create_session(account)
    accounts.save(msgspec.structs.replace(account, password="salt:other"))
    after, _ = accounts.create_session(account)
    assert get_error(before, accounts) == "TOKEN_EXPIRED"
    assert accounts.get_session(after)


@pytest.mark.parametrize(("offset_s", "is_ended"), [(-1, False), (0, True), (1, True)])
def test_revocation_ends_sessions_up_to_its_second(
    clock: Clock, accounts: AccountRepository, account: Account, offset_s: int, is_ended: bool
) -> None:
    token, started_at = accounts.create_session(account)
    accounts.revoke_sessions(account, started_at + offset_s)
    if is_ended:
        assert get_error(token, accounts) == "TOKEN_EXPIRED"
    else:
        assert accounts.get_session(token)


def test_session_of_disabled_or_deleted_account_is_invalid(accounts: AccountRepository, account: Account) -> None:
    token, _ = accounts.create_session(account)
    accounts.save(msgspec.structs.replace(account, disabled=True))
    assert get_error(token, accounts) == "USER_DISABLED"
    accounts.delete(account.local_id)
    assert get_error(token, accounts) == "USER_NOT_FOUND"
    with pytest.raises(IdentityError, match="USER_NOT_FOUND"):
        accounts.delete(account.local_id)


@pytest.mark.parametrize(
    ("kind", "hours"),
    [(OobCodeKind.VERIFY_EMAIL, 72), (OobCodeKind.PASSWORD_RESET, 1), (OobCodeKind.VERIFY_AND_CHANGE_EMAIL, 72)],
)
def test_code_expires(
    clock: Clock, accounts: AccountRepository, account: Account, kind: OobCodeKind, hours: int
) -> None:
    created_at = int(clock.now)
    code = accounts.create_code(account, kind, "new@delivery.test")
    clock.now = created_at + hours * HOUR_S - 1
    assert accounts.get_code(code) == module.OobCode(kind, account.local_id, "new@delivery.test")
    clock.now = created_at + hours * HOUR_S
    with pytest.raises(IdentityError, match="EXPIRED_OOB_CODE"):
        accounts.get_code(code)


def test_code_can_be_used_once(accounts: AccountRepository, account: Account) -> None:
    code = accounts.create_code(account, OobCodeKind.VERIFY_EMAIL)
    assert accounts.get_code(code) == accounts.consume_code(code)
    for use in (accounts.get_code, accounts.consume_code):
        with pytest.raises(IdentityError, match="INVALID_OOB_CODE"):
            use(code)


def test_codes_are_deleted_with_the_account(accounts: AccountRepository, account: Account) -> None:
    code = accounts.create_code(account, OobCodeKind.VERIFY_EMAIL)
    accounts.delete(account.local_id)
    with pytest.raises(IdentityError, match="INVALID_OOB_CODE"):
        accounts.get_code(code)


@given(local=st.text("abcAZ09.+-_", min_size=1, max_size=64))
def test_normalised_email_is_unchanged_by_repetition(local: str) -> None:
    email = normalise_email(f"{local}@delivery.test")
    assert normalise_email(email) == email == email.lower()


def test_times_are_of_the_current_second(accounts: AccountRepository) -> None:
    account = accounts.create("now@delivery.test", None)
    assert abs(account.valid_since - time.time()) < 60
    assert account.password_updated_at is None
