"""Profiles: concurrent updates, and search by name."""

import asyncio

import pytest

from services.gateway.domain.accounts import AccountFilter, ProfileChanges
from services.gateway.usecases import profiles
from services.runtime.core.clock import now
from tests.integration.fixtures.gateway import (
    Gateway,
)


async def test_concurrent_profile_updates_are_all_applied(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    patches: list[ProfileChanges] = [{"first_name": "Grace"}, {"last_name": "Hopper"}, {"phone": "+4915112345678"}]
    updates = [
        profiles.update_profile(gateway.repository, now, principal, patch, lambda version: None) for patch in patches
    ]
    await asyncio.gather(*updates)
    profile = await profiles.get_profile(gateway.repository, principal)
    assert (profile.first_name, profile.last_name, profile.phone, profile.version) == (
        "Grace",
        "Hopper",
        "+4915112345678",
        4,
    )


@pytest.mark.parametrize("prefix", ["İbrahim", "İBRA", "ibrahim", "I\u0307brahim", "ÇELİK", "çelik"])
@pytest.mark.parametrize("first_name", ["İbrahim", "I\u0307brahim"])
async def test_account_is_found_by_name_in_any_case(gateway: Gateway, email: str, prefix: str, first_name: str) -> None:
    principal = await gateway.sign_up(email)
    changes: ProfileChanges = {"first_name": first_name, "last_name": "Çelik"}
    await profiles.update_profile(gateway.repository, now, principal, changes, lambda version: None)
    page = await profiles.list_accounts(gateway.repository, 100, "", AccountFilter(prefix=prefix))
    assert principal.user_id in [account.id for account in page.items]


async def test_disabled_account_is_found_until_it_is_enabled(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)

    async def find(disabled: bool | None) -> list[bool]:
        account_filter = AccountFilter(disabled=disabled, prefix=email)
        page = await profiles.list_accounts(gateway.repository, 100, "", account_filter)
        return [account.disabled for account in page.items]

    assert (await find(None), await find(True), await find(False)) == ([False], [], [False])
    await profiles.set_disabled(gateway.repository, gateway.identity, now, principal.user_id, disabled=True)
    assert (await find(None), await find(True), await find(False)) == ([True], [True], [])
    await profiles.set_disabled(gateway.repository, gateway.identity, now, principal.user_id, disabled=False)
    assert (await find(None), await find(True), await find(False)) == ([False], [], [False])


async def test_many_concurrent_profile_updates_succeed(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    updates = [
        profiles.update_profile(
            gateway.repository, now, principal, {"first_name": f"Ada {number}"}, lambda version: None
        )
        for number in range(30)
    ]
    await asyncio.gather(*updates)
    assert (await profiles.get_profile(gateway.repository, principal)).version == 31
