"""Verification codes: concurrent use, expiry, and code requests.

The adapters, among them services.gateway.adapters.postgres.codes, implement the ports of
services.gateway.usecases.verification_codes.
"""

import asyncio
from datetime import datetime, timedelta

from generated.problems import Reason
from services.gateway.domain.accounts import MAX_CODE_REQUEST_ATTEMPTS, CodePurpose
from services.gateway.usecases import accounts, passwords, profiles, verification_codes
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from tests.fault_proxy import Fault
from tests.integration.fixtures.gateway import (
    ExpectUnavailable,
    Gateway,
    get_error_reason,
)
from tests.users import PASSWORD


async def test_code_remains_valid_after_provider_outage(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    code = await gateway.get_code(principal.user_id)
    gateway.identity_proxy.set_fault(Fault.DOWN)
    async with ExpectUnavailable():
        await accounts.confirm_email(gateway.repository, gateway.identity, now, code)
    gateway.identity_proxy.set_fault(Fault.NONE)
    await accounts.confirm_email(gateway.repository, gateway.identity, now, code)
    assert (await profiles.get_profile(gateway.repository, principal)).email_verified
    confirm = accounts.confirm_email(gateway.repository, gateway.identity, now, code)
    assert await get_error_reason(confirm) is Reason.CODE_INVALID


async def test_concurrent_code_use_succeeds_once(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    code = await gateway.get_code(principal.user_id)
    attempts = [accounts.confirm_email(gateway.repository, gateway.identity, now, code) for _ in range(8)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [result for result in results if not isinstance(result, ApiError)] == [None]


async def test_concurrent_claims_return_different_code_requests(gateway: Gateway, email: str) -> None:
    for _ in range(2):
        await gateway.add_code_request(email)
    queue, at = gateway.repository.code_requests, now()
    claimed = await asyncio.gather(*(queue.claim(1, at, at + timedelta(minutes=1)) for _ in range(2)))
    assert [len(requests) for requests in claimed] == [1, 1]
    assert claimed[0][0].id != claimed[1][0].id


async def send_requested_codes(gateway: Gateway, at: datetime) -> None:
    await verification_codes.send_requested_codes(gateway.repository, lambda: at)


async def test_failing_code_request_is_rescheduled_until_last_attempt(gateway: Gateway, email: str) -> None:
    """The trigger makes the database reject the code of one account, and the transaction that adds it."""
    accounts_by_email = {each: (await gateway.sign_up(each)).user_id for each in (email, f"other-{email}")}
    for statement in (
        "CREATE FUNCTION reject_code() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''rejected''; END'",
        "CREATE TRIGGER reject_code BEFORE INSERT ON codes FOR EACH ROW"
        f" WHEN (NEW.user_id = '{accounts_by_email[email]}') EXECUTE FUNCTION reject_code()",
    ):
        await gateway.execute_sql(statement)
    try:
        for each in accounts_by_email:
            await gateway.add_code_request(each)
        at = now()
        await send_requested_codes(gateway, at)
        assert (await gateway.list_mails(accounts_by_email[f"other-{email}"]))[-1].template == "password_reset"
        attempts = []
        while rows := await gateway.list_code_requests(email):
            attempts.append(rows[0]["attempts"])
            assert at < rows[0]["next_at"] < at + timedelta(minutes=10)
            at = rows[0]["next_at"]
            await send_requested_codes(gateway, at)
    finally:
        await gateway.execute_sql("DROP FUNCTION reject_code CASCADE")
    assert attempts == list(range(1, MAX_CODE_REQUEST_ATTEMPTS))
    assert "password_reset" not in [mail.template for mail in await gateway.list_mails(accounts_by_email[email])]


async def test_request_invalidated_after_its_claim_sends_no_code(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    await verification_codes.request_code(
        gateway.repository, CodePurpose.EMAIL_CHANGE, f"new-{email}", principal.user_id
    )
    at = now()
    [request] = [
        each
        for each in await gateway.repository.code_requests.claim(1000, at, at + timedelta(minutes=1))
        if each.user_id == principal.user_id
    ]
    async with gateway.repository.unit_of_work() as unit:
        await unit.invalidate_codes(principal.user_id)
    async with gateway.repository.unit_of_work() as unit, unit.code_requests.process(request) as is_leased:
        assert not is_leased


async def test_concurrent_password_resets_apply_one_password(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    await verification_codes.request_code(gateway.repository, CodePurpose.PASSWORD_RESET, email)
    while await verification_codes.send_requested_codes(gateway.repository, now):
        pass
    code = await gateway.get_code(principal.user_id)
    new_passwords = [f"a-new-password-{number}" for number in range(6)]
    resets = [
        passwords.reset_password(
            gateway.repository, gateway.identity, gateway.rate_limiter, now, code, password, "192.0.2.1"
        )
        for password in new_passwords
    ]
    results = await asyncio.gather(*resets, return_exceptions=True)
    accepted = [password for password, result in zip(new_passwords, results, strict=True) if result is None]
    assert len(accepted) == 1, results
    await gateway.identity.sign_in(email, accepted[0])


async def test_change_of_password_invalidates_requested_change_of_address(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    verification = await gateway.get_code(principal.user_id)
    request = (gateway.repository, CodePurpose.EMAIL_CHANGE, f"new-{email}", principal.user_id)
    await verification_codes.request_code(*request)
    while await verification_codes.send_requested_codes(gateway.repository, now):
        pass
    code = await gateway.get_code(principal.user_id)
    await verification_codes.request_code(*request)
    await passwords.change_password(
        gateway.repository, gateway.identity, gateway.rate_limiter, now, principal, PASSWORD, f"new-{PASSWORD}", "::1"
    )
    assert await verification_codes.send_requested_codes(gateway.repository, now) == 0
    confirm = accounts.confirm_email(gateway.repository, gateway.identity, now, code)
    assert await get_error_reason(confirm) is Reason.CODE_INVALID
    await accounts.confirm_email(gateway.repository, gateway.identity, now, verification)
    assert (await profiles.get_profile(gateway.repository, principal)).email == email


async def test_expired_code_is_rejected(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    code = await gateway.get_code(principal.user_id)
    confirm = accounts.confirm_email(
        gateway.repository, gateway.identity, lambda: now() + timedelta(days=1, seconds=1), code
    )
    assert await get_error_reason(confirm) is Reason.CODE_INVALID


async def test_email_registered_before_confirmation_is_rejected(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    await verification_codes.request_code(
        gateway.repository, CodePurpose.EMAIL_CHANGE, f"new-{email}", principal.user_id
    )
    while await verification_codes.send_requested_codes(gateway.repository, now):
        pass
    code = await gateway.get_code(principal.user_id)
    await gateway.sign_up(f"new-{email}")
    for _ in range(2):
        confirm = accounts.confirm_email(gateway.repository, gateway.identity, now, code)
        assert await get_error_reason(confirm) is Reason.CODE_INVALID
    assert (await profiles.get_profile(gateway.repository, principal)).email == email
