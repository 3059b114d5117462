"""Accounts during faults of the identity provider.

The adapters, among them services.gateway.adapters.postgres.accounts with the statements of
services.gateway.adapters.postgres.account_statements, implement the ports of services.gateway.usecases.ports and of the
use cases.
"""

import asyncio
from typing import Any

import pytest
from firebase_admin import auth, exceptions

from generated.problems import Reason
from services.gateway.usecases import accounts, profiles
from services.runtime.core.clock import now
from tests.fault_proxy import Fault
from tests.integration.fixtures.gateway import (
    FAULTS,
    ExpectUnavailable,
    Gateway,
    assert_unavailable,
    decode_claims,
    get_error_reason,
)
from tests.users import PASSWORD


@pytest.mark.parametrize("fault", FAULTS)
async def test_account_missing_at_provider_is_removed(gateway: Gateway, email: str, fault: Fault) -> None:
    gateway.identity_proxy.set_fault(fault)
    async with ExpectUnavailable():
        await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert await gateway.finish_interrupted_accounts() > 0
    assert await gateway.repository.accounts.get_by_email(email) is None
    principal = await gateway.sign_up(email)
    assert (await gateway.sign_in(email)).user_id == principal.user_id


async def test_account_with_lost_provider_response_is_completed(gateway: Gateway, email: str) -> None:
    gateway.identity_proxy.set_fault(Fault.DROP_RESPONSE)
    async with ExpectUnavailable():
        await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert await get_error_reason(gateway.sign_up(email)) is Reason.EMAIL_TAKEN  # only the background job completes it
    assert await gateway.repository.accounts.get_by_email(email) is None
    await gateway.finish_interrupted_accounts()
    account = await gateway.repository.accounts.get_by_email(email)
    assert account is not None
    session = await gateway.sign_in(email)
    assert session.user_id == account.id
    assert decode_claims(session.access_token)["role"] == "customer"
    await accounts.confirm_email(gateway.repository, gateway.identity, now, await gateway.get_code(account.id))
    assert await gateway.finish_interrupted_accounts() == 0


@pytest.mark.parametrize("fault", FAULTS)
async def test_account_is_deleted_during_provider_outage(gateway: Gateway, email: str, fault: Fault) -> None:
    principal = await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(fault)
    await accounts.delete_account(gateway.repository, gateway.identity, gateway.image_store, now, principal)
    assert await get_error_reason(profiles.get_profile(gateway.repository, principal)) is Reason.USER_NOT_FOUND
    gateway.identity_proxy.set_fault(Fault.NONE)
    await gateway.finish_interrupted_accounts()
    assert await get_error_reason(gateway.sign_in(email)) is Reason.CREDENTIALS_INVALID
    assert not await gateway.identity.exists(principal.user_id)


@pytest.mark.parametrize("fault", FAULTS)
async def test_session_calls_during_provider_outage_return_unavailable(
    gateway: Gateway, email: str, fault: Fault
) -> None:
    principal = await gateway.sign_up(email)
    session = await gateway.sign_in(email)
    gateway.identity_proxy.set_fault(fault)
    await asyncio.gather(
        assert_unavailable(gateway.sign_in(email)),
        assert_unavailable(gateway.identity.refresh_session(session.refresh_token)),
        assert_unavailable(gateway.identity.revoke_refresh_tokens(principal.user_id)),
    )
    gateway.identity_proxy.set_fault(Fault.NONE)
    assert (await gateway.identity.refresh_session(session.refresh_token)).user_id == principal.user_id


async def test_provider_outage_does_not_count_as_failed_attempt(gateway: Gateway, email: str) -> None:
    await gateway.sign_up(email)
    gateway.identity_proxy.set_fault(Fault.DOWN)
    for _ in range(12):
        async with ExpectUnavailable():
            await gateway.sign_in(email)
    gateway.identity_proxy.set_fault(Fault.NONE)
    await gateway.sign_in(email)


async def test_new_password_and_end_of_sessions_are_one_request(
    gateway: Gateway, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise exceptions.UnavailableError("second request")

    principal = await gateway.sign_up(email)
    tokens = await gateway.sign_in(email)
    monkeypatch.setattr(auth, "revoke_refresh_tokens", fail)
    await gateway.identity.set_password(principal.user_id, f"new-{PASSWORD}")
    assert (
        await get_error_reason(gateway.identity.refresh_session(tokens.refresh_token)) is Reason.REFRESH_TOKEN_INVALID
    )
