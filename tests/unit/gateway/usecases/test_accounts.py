"""Account life cycle: sign-up, confirmation of the address, deletion and completion of interrupted changes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Self

import pytest

from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested, UserDeleted, UserRegistered
from services.gateway.domain.accounts import AccountState, CodePurpose, Registration, generate_code
from services.gateway.usecases import accounts
from services.gateway.usecases.token_revocations import MAX_TOKEN_LIFETIME
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW, build_principal, raises_reason
from tests.unit.gateway.fakes import ADA, FakeIdentityProvider, FakeImageStore, FakeRepository

REGISTRATION = Registration("Ada@Delivery.test", "secret", "Ada", "Lovelace", "customer", locale="de")
PRINCIPAL = build_principal("customer")


def add_code(repository: FakeRepository, purpose: CodePurpose, new_email: str | None = None) -> str:
    plain_code, code = generate_code(purpose, "ada", NOW, new_email)
    repository.codes[code.digest] = code
    return plain_code


async def test_sign_up_creates_active_account_and_mails_code() -> None:
    repository, identity = FakeRepository(), FakeIdentityProvider()
    account = await accounts.sign_up(repository, identity, repository.clock, REGISTRATION)
    assert repository.accounts[account.id] == account
    assert (account.state, account.email) == (AccountState.ACTIVE, "ada@delivery.test")
    assert identity.calls == [("create", account.id, "ada@delivery.test", "secret", "customer")]
    registered, mail = repository.events
    assert isinstance(registered, UserRegistered)
    assert isinstance(mail, EmailRequested)
    assert (mail.email, mail.template, mail.locale) == ("ada@delivery.test", "verification", "de")
    await accounts.confirm_email(repository, identity, repository.clock, mail.values["code"])
    assert identity.calls[1:] == [("mark_email_verified", account.id)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time_zone": "Mars/Olympus"}, Reason.TIME_ZONE_UNKNOWN),
        ({"birth_date": date(2026, 2, 1)}, Reason.BIRTH_DATE_IN_FUTURE),
    ],
)
async def test_invalid_sign_up_stores_nothing(changes: dict[str, Any], reason: Reason) -> None:
    repository, identity = FakeRepository(), FakeIdentityProvider()
    with raises_reason(reason):
        await accounts.sign_up(repository, identity, repository.clock, replace(REGISTRATION, **changes))
    assert (repository.accounts, identity.calls) == ({}, [])


async def test_sign_up_with_common_password_stores_nothing() -> None:
    repository, identity = FakeRepository(), FakeIdentityProvider()
    with raises_reason(Reason.PASSWORD_COMMON):
        await accounts.sign_up(repository, identity, repository.clock, replace(REGISTRATION, password="Password1"))
    assert (repository.accounts, identity.calls) == ({}, [])


@pytest.mark.parametrize("reason", [Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED])
async def test_rejected_sign_up_leaves_no_account(reason: Reason) -> None:
    repository = FakeRepository()
    with raises_reason(reason):
        await accounts.sign_up(repository, FakeIdentityProvider(create=reason), repository.clock, REGISTRATION)
    assert (repository.accounts, repository.events) == ({}, [])


@pytest.mark.parametrize("was_created", [True, False])
async def test_interrupted_sign_up_is_completed_after_grace_period(was_created: bool) -> None:
    repository = FakeRepository()
    identity, images = FakeIdentityProvider(create=Reason.UPSTREAM_UNAVAILABLE), FakeImageStore()
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await accounts.sign_up(repository, identity, repository.clock, REGISTRATION)
    (account,) = repository.accounts.values()
    assert account.state is AccountState.CREATING
    identity.known_ids = {account.id} if was_created else set()
    repository.now = NOW + accounts.GRACE_PERIOD
    assert await accounts.finish_interrupted_accounts(repository, identity, images, repository.clock) == 0
    repository.now += timedelta(microseconds=1)
    assert await accounts.finish_interrupted_accounts(repository, identity, images, repository.clock) == 1
    assert [each.state for each in repository.accounts.values()] == [AccountState.ACTIVE] * was_created
    assert (("set_role", account.id, "customer") in identity.calls) == was_created
    assert len(repository.events) == 2 * was_created


async def test_account_that_fails_does_not_delay_other_accounts() -> None:
    unfinished = replace(ADA, state=AccountState.CREATING, role=None, created_at=NOW - timedelta(hours=2))
    later = replace(unfinished, id="eve", email="eve@delivery.test", created_at=NOW - timedelta(hours=1))
    repository = FakeRepository(unfinished, later)

    class FailingIdentityProvider(FakeIdentityProvider):
        """Provider with an invalid answer about one account."""

        async def exists(self, user_id: str) -> bool:
            if user_id == "ada":
                raise ValueError("invalid answer")
            return await super().exists(user_id)

    identity = FailingIdentityProvider("eve")
    assert await accounts.finish_interrupted_accounts(repository, identity, FakeImageStore(), repository.clock) == 1
    states = {user_id: account.state for user_id, account in repository.accounts.items()}
    assert states == {"ada": AccountState.CREATING, "eve": AccountState.ACTIVE}


async def test_interrupted_sign_up_without_role_sets_no_role() -> None:
    account = replace(ADA, state=AccountState.CREATING, role=None, created_at=NOW - timedelta(hours=1))
    repository, identity = FakeRepository(account), FakeIdentityProvider("ada")
    await accounts.finish_interrupted_accounts(repository, identity, FakeImageStore(), repository.clock)
    assert identity.calls == []
    assert repository.accounts["ada"].state is AccountState.ACTIVE


async def test_sign_up_completed_by_another_process_mails_one_code() -> None:
    repository, images = FakeRepository(), FakeImageStore()

    class SlowIdentityProvider(FakeIdentityProvider):
        """Provider whose response arrives after the background job has completed the account."""

        async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
            self.known_ids = {user_id}
            repository.now += accounts.GRACE_PERIOD + timedelta(microseconds=1)
            await accounts.finish_interrupted_accounts(repository, self, images, repository.clock)

    account = await accounts.sign_up(repository, SlowIdentityProvider(), repository.clock, REGISTRATION)
    assert repository.accounts == {account.id: account}
    assert [type(event) for event in repository.events] == [UserRegistered, EmailRequested]
    assert len(repository.codes) == 1


async def test_changed_email_is_confirmed_once() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    plain_code = add_code(repository, CodePurpose.EMAIL_CHANGE, "new@delivery.test")
    await accounts.confirm_email(repository, identity, repository.clock, plain_code)
    assert identity.calls == [("change_email", "ada", "new@delivery.test")]
    with raises_reason(Reason.CODE_INVALID):
        await accounts.confirm_email(repository, identity, repository.clock, plain_code)


async def test_concurrently_used_code_changes_no_email() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    plain_code = add_code(repository, CodePurpose.EMAIL_CHANGE, "new@delivery.test")
    repository.locked_codes = set(repository.codes)
    with raises_reason(Reason.CODE_INVALID):
        await accounts.confirm_email(repository, identity, repository.clock, plain_code)
    assert identity.calls == []


async def test_unknown_code_is_invalid() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    with raises_reason(Reason.CODE_INVALID):
        await accounts.confirm_email(repository, identity, repository.clock, "guess")
    assert identity.calls == []


async def test_code_expires_after_its_lifetime() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    plain_code = add_code(repository, CodePurpose.EMAIL_VERIFICATION)
    repository.now = NOW + timedelta(days=1)
    with raises_reason(Reason.CODE_INVALID):
        await accounts.confirm_email(repository, identity, repository.clock, plain_code)
    repository.now -= timedelta(microseconds=1)
    await accounts.confirm_email(repository, identity, repository.clock, plain_code)


async def test_password_reset_code_confirms_no_email() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    plain_code = add_code(repository, CodePurpose.PASSWORD_RESET)
    with raises_reason(Reason.CODE_INVALID):
        await accounts.confirm_email(repository, identity, repository.clock, plain_code)
    assert identity.calls == []
    assert len(repository.codes) == 1


async def test_code_of_deleted_account_is_invalid() -> None:
    repository = FakeRepository()
    plain_code = add_code(repository, CodePurpose.EMAIL_VERIFICATION)
    with raises_reason(Reason.CODE_INVALID):
        await accounts.confirm_email(repository, FakeIdentityProvider(), repository.clock, plain_code)


@pytest.mark.parametrize("reason", [Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED])
async def test_code_of_rejected_email_is_deleted(reason: Reason) -> None:
    repository = FakeRepository(ADA)
    plain_code = add_code(repository, CodePurpose.EMAIL_CHANGE, "taken@delivery.test")
    with raises_reason(Reason.CODE_INVALID):
        await accounts.confirm_email(
            repository, FakeIdentityProvider(change_email=reason), repository.clock, plain_code
        )
    assert repository.codes == {}


async def test_code_stays_valid_while_identity_provider_is_unavailable() -> None:
    repository = FakeRepository(ADA)
    identity = FakeIdentityProvider(change_email=Reason.UPSTREAM_UNAVAILABLE)
    plain_code = add_code(repository, CodePurpose.EMAIL_CHANGE, "new@delivery.test")
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await accounts.confirm_email(repository, identity, repository.clock, plain_code)
    assert len(repository.codes) == 1


async def test_deleted_account_is_removed_everywhere() -> None:
    repository, identity = FakeRepository(replace(ADA, avatar="avatars/x")), FakeIdentityProvider()
    images = FakeImageStore("avatars/x")
    add_code(repository, CodePurpose.PASSWORD_RESET)
    await accounts.delete_account(repository, identity, images, repository.clock, PRINCIPAL)
    assert (repository.accounts, repository.codes, images.images) == ({}, {}, {})
    assert identity.calls == [("delete", "ada")]
    assert repository.revocations == {"ada": NOW + MAX_TOKEN_LIFETIME}
    deleted, mail = repository.events
    assert isinstance(deleted, UserDeleted)
    assert (deleted.version, deleted.at) == (2, NOW)
    assert isinstance(mail, EmailRequested)
    assert (mail.email, mail.template) == (ADA.email, "account_deleted")


class InterruptedRepository(FakeRepository):
    """Repository that is unavailable after the first unit of work."""

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Self]:
        if self.revocations or self.events:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        async with super().unit_of_work() as unit:
            yield unit


async def test_deletion_revokes_tokens_although_it_is_interrupted() -> None:
    repository, identity = InterruptedRepository(ADA), FakeIdentityProvider()
    await accounts.delete_account(repository, identity, FakeImageStore(), repository.clock, PRINCIPAL)
    assert repository.accounts["ada"].state is AccountState.DELETING
    assert (identity.calls, repository.revocations) == ([], {"ada": NOW + MAX_TOKEN_LIFETIME})


async def test_deletion_without_recent_sign_in_changes_nothing() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    principal = replace(PRINCIPAL, authenticated_at=NOW - timedelta(minutes=5, seconds=1))
    with raises_reason(Reason.REAUTHENTICATION_REQUIRED):
        await accounts.delete_account(repository, identity, FakeImageStore(), repository.clock, principal)
    assert (repository.accounts, identity.calls) == ({"ada": ADA}, [])


async def test_deletion_of_unknown_account_raises() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.USER_NOT_FOUND):
        await accounts.delete_account(repository, FakeIdentityProvider(), FakeImageStore(), repository.clock, PRINCIPAL)


async def test_interrupted_deletion_is_completed_later() -> None:
    repository = FakeRepository(replace(ADA, avatar="avatars/x", created_at=NOW - timedelta(days=1)))
    images = FakeImageStore("avatars/x", delete_fails=True)
    identity = FakeIdentityProvider()
    await accounts.delete_account(repository, identity, images, repository.clock, PRINCIPAL)
    account = repository.accounts["ada"]
    assert (account.state, account.email) == (AccountState.DELETING, "")
    images.delete_fails = False
    assert await accounts.finish_interrupted_accounts(repository, identity, images, repository.clock) == 1
    assert (repository.accounts, images.images) == ({}, {})
    assert len(repository.events) == 2
