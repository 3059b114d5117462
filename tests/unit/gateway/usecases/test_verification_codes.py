"""Verification codes: which requests are answered with a mail."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested
from services.gateway.domain.accounts import (
    MAIL_TEMPLATES,
    MAX_CODE_REQUEST_ATTEMPTS,
    MAX_VALID_CODES,
    Account,
    CodePurpose,
    CodeRequest,
    build_code_used_events,
    generate_code,
    hash_secret,
)
from services.gateway.usecases import verification_codes
from services.gateway.usecases.verification_codes import BATCH_SIZE, MAX_RETRY_DELAY_S
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW, build_principal, raises_reason
from tests.unit.gateway.fakes import (
    ADA,
    FakeAccounts,
    FakeCodeRequests,
    FakeIdentityProvider,
    FakeLoginRateLimiter,
    FakeRepository,
)

VERIFIED = replace(ADA, email_verified=True)
BOB = replace(ADA, id="bob", email="bob@delivery.test")


class UnreadableAccounts(FakeAccounts):
    """Accounts that raise an error when they are queried, except that with the readable address."""

    error: Exception = AssertionError("account is queried")
    readable_email = ""

    async def get(self, key: str) -> Account | None:
        raise self.error

    async def get_by_email(self, email: str) -> Account | None:
        if email == self.readable_email:
            return await super().get_by_email(email)
        raise self.error


@pytest.mark.parametrize(
    ("purpose", "email", "account", "is_sent"),
    [
        (CodePurpose.EMAIL_VERIFICATION, "Ada@delivery.test", ADA, True),
        (CodePurpose.EMAIL_VERIFICATION, "ada@delivery.test", VERIFIED, False),
        (CodePurpose.EMAIL_VERIFICATION, "unknown@delivery.test", ADA, False),
        (CodePurpose.PASSWORD_RESET, "ada@delivery.test", VERIFIED, True),
        (CodePurpose.PASSWORD_RESET, "unknown@delivery.test", ADA, False),
        (CodePurpose.EMAIL_CHANGE, "new@delivery.test", ADA, True),
        (CodePurpose.EMAIL_CHANGE, "bob@delivery.test", ADA, False),
        (CodePurpose.EMAIL_CHANGE, "new@delivery.test", replace(ADA, id="other"), False),
    ],
)
async def test_code_is_mailed_to_matching_account(
    purpose: CodePurpose, email: str, account: Account, is_sent: bool
) -> None:
    repository = FakeRepository(account, BOB)
    await verification_codes.request_code(repository, purpose, email, "ada")
    assert await verification_codes.send_requested_codes(repository, repository.clock) == 1
    assert repository.code_requests == []
    assert len(repository.events) == len(repository.codes) == is_sent
    for mail in repository.events:
        assert isinstance(mail, EmailRequested)
        assert (mail.user_id, mail.email, mail.template) == ("ada", email.lower(), MAIL_TEMPLATES[purpose])
        code = repository.codes[hash_secret(mail.values["code"])]
        assert (code.purpose, code.user_id) == (purpose, "ada")
        assert code.new_email == (email if purpose is CodePurpose.EMAIL_CHANGE else None)


async def test_unknown_address_takes_the_queries_of_a_known_one() -> None:
    counts = []
    for email in (ADA.email, "unknown@delivery.test"):
        repository = FakeRepository(ADA)
        await verification_codes.request_code(repository, CodePurpose.PASSWORD_RESET, email)
        await verification_codes.send_requested_codes(repository, repository.clock)
        counts.append(repository.code_counts)
    assert counts == [[CodePurpose.PASSWORD_RESET]] * 2


async def test_request_does_not_query_account(caplog: pytest.LogCaptureFixture) -> None:
    """The response time would reveal whether the account exists."""
    repository = FakeRepository(ADA)
    repository.accounts = repository.account_reader = UnreadableAccounts(repository, [ADA])
    await verification_codes.request_code(repository, CodePurpose.PASSWORD_RESET, ADA.email)
    assert len(repository.code_requests) == 1
    await verification_codes.send_requested_codes(repository, repository.clock)
    assert "account is queried" in caplog.text


@pytest.mark.parametrize(
    ("password", "age_s", "reason"),
    [
        (None, 300, None),
        (None, 301, Reason.REAUTHENTICATION_REQUIRED),
        ("right", 301, None),
        ("wrong", 301, Reason.PASSWORD_WRONG),
        ("wrong", 0, Reason.PASSWORD_WRONG),
    ],
)
async def test_email_change_needs_recent_sign_in_or_password(
    password: str | None, age_s: int, reason: Reason | None
) -> None:
    repository = FakeRepository(ADA)
    identity = FakeIdentityProvider(**({"sign_in": Reason.CREDENTIALS_INVALID} if password == "wrong" else {}))
    principal = replace(build_principal("customer"), authenticated_at=NOW - timedelta(seconds=age_s))
    with nullcontext() if reason is None else raises_reason(reason):
        await verification_codes.request_email_change(
            repository,
            identity,
            FakeLoginRateLimiter(),
            repository.clock,
            principal,
            "new@delivery.test",
            password,
            "192.0.2.1",
        )
    assert len(repository.code_requests) == (reason is None)
    assert identity.calls == ([] if password is None else [("sign_in", ADA.email, password)])


async def test_further_requests_send_no_mail_while_codes_are_valid() -> None:
    repository = FakeRepository(ADA)
    for _ in range(MAX_VALID_CODES + 1):
        await verification_codes.request_code(repository, CodePurpose.PASSWORD_RESET, ADA.email)
    assert await verification_codes.send_requested_codes(repository, repository.clock) == MAX_VALID_CODES + 1
    assert len(repository.events) == MAX_VALID_CODES
    assert repository.code_requests == []


async def test_requests_are_processed_in_batches() -> None:
    repository = FakeRepository()
    for _ in range(BATCH_SIZE + 1):
        await verification_codes.request_code(repository, CodePurpose.PASSWORD_RESET, ADA.email)
    sizes = [await verification_codes.send_requested_codes(repository, repository.clock) for _ in range(3)]
    assert sizes == [BATCH_SIZE, 1, 0]


@pytest.mark.parametrize("error", [RuntimeError("unexpected"), ApiError(Reason.UPSTREAM_UNAVAILABLE)])
async def test_failed_request_is_retried_without_delaying_others(error: Exception) -> None:
    repository = FakeRepository(ADA, BOB)
    accounts = UnreadableAccounts(repository, [ADA, BOB])
    accounts.error, accounts.readable_email = error, BOB.email
    repository.accounts = repository.account_reader = accounts
    for email in (ADA.email, BOB.email):
        await verification_codes.request_code(repository, CodePurpose.PASSWORD_RESET, email)
    assert await verification_codes.send_requested_codes(repository, repository.clock) == 2
    assert [getattr(event, "email", "") for event in repository.events] == [BOB.email]
    attempted_at = []
    while repository.code_requests:
        attempted_at.append(repository.now - NOW)
        repository.now = repository.code_requests.next_at[repository.code_requests[0].id]
        assert await verification_codes.send_requested_codes(repository, repository.clock) == 1
    assert len(attempted_at) == MAX_CODE_REQUEST_ATTEMPTS - 1
    assert timedelta(minutes=4) < attempted_at[-1] < timedelta(minutes=7)
    assert [getattr(event, "email", "") for event in repository.events] == [BOB.email]


async def test_rescheduled_request_is_sent_when_it_succeeds() -> None:
    repository = FakeRepository(ADA)
    repository.accounts = repository.account_reader = UnreadableAccounts(repository, [ADA])
    await verification_codes.request_code(repository, CodePurpose.PASSWORD_RESET, ADA.email)
    await verification_codes.send_requested_codes(repository, repository.clock)
    repository.accounts = repository.account_reader = FakeAccounts(repository, [ADA])
    assert await verification_codes.send_requested_codes(repository, repository.clock) == 0
    repository.now += timedelta(seconds=MAX_RETRY_DELAY_S)
    assert await verification_codes.send_requested_codes(repository, repository.clock) == 1
    assert len(repository.events) == 1


async def test_request_deleted_after_claim_sends_no_mail() -> None:
    repository = FakeRepository(ADA)
    await verification_codes.request_code(repository, CodePurpose.EMAIL_CHANGE, "new@delivery.test", ADA.id)

    async def claim_and_delete(size: int, now: datetime, lease_until: datetime) -> Sequence[CodeRequest]:
        requests = await FakeCodeRequests.claim(repository.code_requests, size, now, lease_until)
        await repository.code_requests.delete_all(ADA.id)
        return requests

    repository.code_requests.claim = claim_and_delete  # type: ignore[method-assign]
    assert await verification_codes.send_requested_codes(repository, repository.clock) == 1
    assert repository.events == []


@pytest.mark.parametrize(
    ("purpose", "new_email", "other_codes", "is_revoked"),
    [
        (CodePurpose.EMAIL_VERIFICATION, None, 1, False),
        (CodePurpose.EMAIL_CHANGE, "new@delivery.test", 0, False),
        (CodePurpose.PASSWORD_RESET, None, 0, True),
    ],
)
async def test_used_code_verifies_its_address(
    purpose: CodePurpose, new_email: str | None, other_codes: int, is_revoked: bool
) -> None:
    repository = FakeRepository(ADA, BOB)
    plain_code, code = generate_code(purpose, "ada", NOW, new_email)
    for each in (code, generate_code(CodePurpose.PASSWORD_RESET, "ada", NOW)[1]):
        repository.codes[each.digest] = each
    repository.codes[b"bob"] = replace(code, digest=b"bob", user_id="bob")
    used = await verification_codes.get_code(repository, repository.clock, plain_code)
    async with verification_codes.use_code(repository, repository.clock, used):
        assert repository.accounts["ada"] == ADA
    after = replace(ADA, email=new_email or ADA.email, email_verified=True, version=2)
    assert repository.accounts == {"ada": after, "bob": BOB}
    assert repository.events == build_code_used_events(code, ADA, after)
    assert code.digest not in repository.codes
    assert [each.user_id for each in repository.codes.values()] == ["ada"] * other_codes + ["bob"]
    assert repository.revocations == ({"ada": NOW} if is_revoked else {})


async def test_code_of_account_that_is_deleted_meanwhile_is_invalid() -> None:
    repository = FakeRepository(ADA)
    _, code = generate_code(CodePurpose.EMAIL_CHANGE, "ada", NOW, "new@delivery.test")
    repository.codes[code.digest] = code
    with raises_reason(Reason.CODE_INVALID):
        async with verification_codes.use_code(repository, repository.clock, code):
            repository.accounts["ada"] = ADA.anonymise()
    assert repository.events == []
