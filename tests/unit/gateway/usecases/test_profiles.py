"""Profiles: changes with optimistic locking, lists of accounts and roles."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from generated.problems import Reason
from generated.proto.delivery.events.v1 import UserUpdated
from services.gateway.domain.accounts import AccountFilter, ProfileChanges
from services.gateway.usecases import profiles
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW, build_principal, raises_reason
from tests.unit.gateway.fakes import (
    ADA,
    FakeIdentityProvider,
    FakeRepository,
    add_pending_codes,
    assert_only_verification_is_pending,
)

PRINCIPAL = build_principal("customer")


def accept_version(version: int) -> None:
    """Accept every version."""


def reject_version(version: int) -> None:
    raise ApiError(Reason.PRECONDITION_FAILED, str(version))


async def test_update_changes_only_given_fields() -> None:
    repository = FakeRepository(ADA)
    changed = await profiles.update_profile(
        repository, lambda: NOW, PRINCIPAL, {"phone": None, "locale": "fr"}, accept_version
    )
    assert changed == replace(ADA, phone=None, locale="fr", version=2) == repository.accounts["ada"]
    (event,) = repository.events
    assert isinstance(event, UserUpdated)
    assert (event.locale, event.version) == ("fr", 2)


async def test_update_with_device_token_registers_the_device() -> None:
    repository = FakeRepository(ADA)
    for changes, registered_at in (
        ({"locale": "fr"}, None),
        ({"notif_token": "token"}, NOW),
        ({"locale": "de"}, NOW),
        ({"notif_token": None}, None),
    ):
        await profiles.update_profile(repository, lambda: NOW, PRINCIPAL, changes, accept_version)  # type: ignore[arg-type]
        assert repository.accounts["ada"].notif_token_at == repository.events[-1].notif_token_at == registered_at


async def test_update_of_unexpected_version_changes_nothing() -> None:
    repository = FakeRepository(replace(ADA, version=7))
    with raises_reason(Reason.PRECONDITION_FAILED) as raised:
        await profiles.update_profile(repository, lambda: NOW, PRINCIPAL, {"locale": "fr"}, reject_version)
    assert raised.value.detail == "7"
    assert (repository.accounts["ada"].locale, repository.events) == ("de", [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time_zone": "Mars/Olympus"}, Reason.TIME_ZONE_UNKNOWN),
        ({"birth_date": date(2026, 2, 1)}, Reason.BIRTH_DATE_IN_FUTURE),
    ],
)
async def test_invalid_update_raises(changes: ProfileChanges, reason: Reason) -> None:
    repository = FakeRepository(replace(ADA, birth_date=date(2030, 1, 1)))
    with raises_reason(reason):
        await profiles.update_profile(repository, lambda: NOW, PRINCIPAL, changes, accept_version)
    account = await profiles.update_profile(repository, lambda: NOW, PRINCIPAL, {"first_name": "A"}, accept_version)
    assert account.birth_date == date(2030, 1, 1)


async def test_profile_of_unknown_user_raises() -> None:
    with raises_reason(Reason.USER_NOT_FOUND):
        await profiles.get_profile(FakeRepository(), PRINCIPAL)


async def test_accounts_are_listed_newest_first_without_gaps() -> None:
    accounts = [replace(ADA, id=f"u{index}", created_at=NOW + timedelta(seconds=index // 2)) for index in range(5)]
    repository = FakeRepository(*accounts)
    listed, token = [], ""
    while token is not None:
        page = await profiles.list_accounts(repository, 2, token, AccountFilter())
        listed += [account.id for account in page.items]
        token = page.next_page_token
    assert listed == ["u4", "u3", "u2", "u1", "u0"]


@pytest.mark.parametrize("token", ["x", "WyJhIl0", "WyIyMDI2Iiwx"])
async def test_invalid_page_token_raises(token: str) -> None:
    with raises_reason(Reason.INVALID_REQUEST):
        await profiles.list_accounts(FakeRepository(ADA), 2, token, AccountFilter())


async def test_role_is_set_at_identity_provider_first() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider(set_role=Reason.UPSTREAM_UNAVAILABLE)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await profiles.set_role(repository, identity, repository.clock, "ada", "admin")
    assert (repository.accounts["ada"], repository.revocations) == (ADA, {})
    identity.errors = {}
    changed = await profiles.set_role(repository, identity, repository.clock, "ada", "admin")
    assert changed == repository.accounts["ada"] == replace(ADA, role="admin", version=2)
    assert identity.calls == [("set_role", "ada", "admin")] * 2
    assert repository.revocations == {"ada": NOW}


async def test_change_of_role_invalidates_codes_for_changes() -> None:
    repository = FakeRepository(ADA)
    add_pending_codes(repository)
    await profiles.set_role(repository, FakeIdentityProvider(), repository.clock, "ada", "admin")
    assert_only_verification_is_pending(repository)


async def test_only_disabling_invalidates_codes_for_changes() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    codes = add_pending_codes(repository)
    await profiles.set_disabled(repository, identity, repository.clock, "ada", disabled=False)
    assert list(repository.codes) == codes
    await profiles.set_disabled(repository, identity, repository.clock, "ada", disabled=True)
    assert_only_verification_is_pending(repository)


async def test_role_of_unknown_user_raises() -> None:
    identity = FakeIdentityProvider()
    with raises_reason(Reason.USER_NOT_FOUND):
        await profiles.set_role(FakeRepository(), identity, lambda: NOW, "ada", "admin")
    assert identity.calls == []


async def test_email_is_verified_without_code() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    await profiles.verify_email(repository, identity, "ada")
    assert identity.calls == [("mark_email_verified", "ada")]
    assert repository.accounts["ada"] == replace(ADA, email_verified=True, version=2)
    assert [type(event) for event in repository.events] == [UserUpdated]


@pytest.mark.parametrize("disabled", [True, False])
async def test_disabling_revokes_tokens(disabled: bool) -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    await profiles.set_disabled(repository, identity, repository.clock, "ada", disabled=disabled)
    assert identity.calls == [("set_disabled", "ada", str(disabled))]
    assert repository.revocations == ({"ada": NOW} if disabled else {})
    assert repository.accounts["ada"] == replace(ADA, disabled=disabled, version=2)
    assert [type(event) for event in repository.events] == [UserUpdated]


async def test_account_is_disabled_at_identity_provider_first() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider(set_disabled=Reason.UPSTREAM_UNAVAILABLE)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await profiles.set_disabled(repository, identity, repository.clock, "ada", disabled=True)
    assert (repository.accounts["ada"], repository.revocations) == (ADA, {})


async def test_unknown_account_is_not_disabled() -> None:
    repository, identity = FakeRepository(), FakeIdentityProvider()
    with raises_reason(Reason.USER_NOT_FOUND):
        await profiles.set_disabled(repository, identity, repository.clock, "ada", disabled=True)
    assert (identity.calls, repository.revocations) == ([], {})
