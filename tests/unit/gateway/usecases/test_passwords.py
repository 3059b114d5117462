"""Sign-in, sign-out and passwords: rate limits, and errors that do not reveal whether an account exists."""

from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Self, override

import pytest

from generated.problems import Reason
from services.gateway.domain.accounts import (
    CodePurpose,
    build_password_changed_mail,
    generate_code,
)
from services.gateway.usecases import passwords
from services.gateway.usecases.token_revocations import RevokedTokens, TokenRevocation
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW, build_principal, raises_reason
from tests.unit.gateway.fakes import (
    ADA,
    FakeIdentityProvider,
    FakeLoginRateLimiter,
    FakeRepository,
    add_pending_codes,
    assert_only_verification_is_pending,
)

PRINCIPAL = build_principal("customer")
ADDRESS = "192.0.2.1"


def get_now() -> datetime:
    return NOW


REVOKED_TOKENS = RevokedTokens(get_now)


class FailingRepository(FakeRepository):
    """Repository whose database fails as soon as the identity provider has set the password."""

    def __init__(self, identity: FakeIdentityProvider) -> None:
        super().__init__(ADA)
        self.identity = identity

    @override
    def unit_of_work(self) -> AbstractAsyncContextManager[Self]:
        if any(operation == "set_password" for operation, *_ in self.identity.calls):
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        return super().unit_of_work()


async def test_sign_in_is_limited_by_normalised_email() -> None:
    identity, limiter = FakeIdentityProvider(), FakeLoginRateLimiter()
    tokens = await passwords.sign_in(identity, limiter, REVOKED_TOKENS, "Ada@Delivery.Test", "secret", ADDRESS)
    assert tokens.access_token == "access"
    assert limiter.subjects == [("ada@delivery.test", ADDRESS)]
    assert limiter.failures == []


async def test_failed_sign_in_is_counted() -> None:
    identity, limiter = FakeIdentityProvider(sign_in=Reason.CREDENTIALS_INVALID), FakeLoginRateLimiter()
    with raises_reason(Reason.CREDENTIALS_INVALID):
        await passwords.sign_in(identity, limiter, REVOKED_TOKENS, "ada@delivery.test", "wrong", ADDRESS)
    assert limiter.failures == [Reason.CREDENTIALS_INVALID]


async def test_exhausted_limit_blocks_every_attempt() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    limiter = FakeLoginRateLimiter(is_exhausted=True)
    with raises_reason(Reason.TOO_MANY_REQUESTS):
        await passwords.sign_in(identity, limiter, REVOKED_TOKENS, "a@b.c", "secret", ADDRESS)
    with raises_reason(Reason.TOO_MANY_REQUESTS):
        await passwords.change_password(repository, identity, limiter, get_now, PRINCIPAL, "old", "new", ADDRESS)
    with raises_reason(Reason.TOO_MANY_REQUESTS):
        await passwords.reset_password(repository, identity, limiter, repository.clock, "code", "new", ADDRESS)
    assert identity.calls == []


async def test_common_password_is_rejected_before_any_attempt_is_counted() -> None:
    repository, identity, limiter = FakeRepository(ADA), FakeIdentityProvider(), FakeLoginRateLimiter()
    new = "password123"
    with raises_reason(Reason.PASSWORD_COMMON):
        await passwords.change_password(repository, identity, limiter, get_now, PRINCIPAL, "old", new, ADDRESS)
    with raises_reason(Reason.PASSWORD_COMMON):
        await passwords.reset_password(repository, identity, limiter, repository.clock, "code", new, ADDRESS)
    assert (identity.calls, limiter.subjects, repository.events) == ([], [], [])


@pytest.mark.parametrize("errors", [{}, {"revoke_refresh_tokens": Reason.USER_NOT_FOUND}])
async def test_sign_out_revokes_tokens_also_of_deleted_account(errors: dict[str, Reason]) -> None:
    repository = FakeRepository(ADA)
    await passwords.sign_out(repository, FakeIdentityProvider(**errors), get_now, PRINCIPAL)
    assert repository.revocations == {"ada": NOW}


async def test_sign_out_invalidates_codes_for_changes() -> None:
    repository = FakeRepository(ADA)
    add_pending_codes(repository)
    await passwords.sign_out(repository, FakeIdentityProvider(), get_now, PRINCIPAL)
    assert_only_verification_is_pending(repository)


async def test_sign_out_without_identity_provider_raises() -> None:
    repository = FakeRepository(ADA)
    identity = FakeIdentityProvider(revoke_refresh_tokens=Reason.UPSTREAM_UNAVAILABLE)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await passwords.sign_out(repository, identity, get_now, PRINCIPAL)
    assert repository.revocations == {}


async def test_refreshed_token_of_second_of_revocation_is_replaced() -> None:
    now = datetime.now(UTC)
    revoked_tokens, identity = RevokedTokens(lambda: datetime.now(UTC)), FakeIdentityProvider()
    identity.issued_at = now.replace(microsecond=0)
    revoked_tokens.add(TokenRevocation("ada", now))
    await passwords.refresh_session(identity, revoked_tokens, "r")
    assert datetime.now(UTC) >= now.replace(microsecond=0) + timedelta(seconds=1)
    assert identity.calls == [("refresh_session", "r"), ("refresh_session", "refresh")]


async def test_password_is_changed_after_check_of_old_one() -> None:
    repository, identity, limiter = FakeRepository(ADA), FakeIdentityProvider(), FakeLoginRateLimiter()
    await passwords.change_password(repository, identity, limiter, get_now, PRINCIPAL, "old", "new", ADDRESS)
    assert identity.calls == [("sign_in", ADA.email, "old"), ("set_password", "ada", "new")]
    assert repository.revocations == {"ada": NOW}
    assert repository.events == [build_password_changed_mail(ADA)]
    assert limiter.subjects == [(ADA.email, ADDRESS)]


@pytest.mark.parametrize(
    ("provider_error", "reason"),
    [
        (Reason.CREDENTIALS_INVALID, Reason.PASSWORD_WRONG),
        (Reason.UPSTREAM_UNAVAILABLE, Reason.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_failed_check_of_old_password_changes_nothing(provider_error: Reason, reason: Reason) -> None:
    identity, limiter = FakeIdentityProvider(sign_in=provider_error), FakeLoginRateLimiter()
    with raises_reason(reason):
        await passwords.change_password(
            FakeRepository(ADA), identity, limiter, get_now, PRINCIPAL, "old", "new", ADDRESS
        )
    assert identity.calls == [("sign_in", ADA.email, "old")]
    assert limiter.failures == [provider_error]


async def test_password_change_invalidates_codes_for_changes() -> None:
    repository, limiter = FakeRepository(ADA), FakeLoginRateLimiter()
    add_pending_codes(repository)
    await passwords.change_password(
        repository, FakeIdentityProvider(), limiter, get_now, PRINCIPAL, "old", "new", ADDRESS
    )
    assert_only_verification_is_pending(repository)


@pytest.mark.parametrize("errors", [{}, {"set_password": Reason.UPSTREAM_UNAVAILABLE}])
async def test_interrupted_password_change_revokes_access(errors: dict[str, Reason]) -> None:
    identity = FakeIdentityProvider(**errors)
    repository = FailingRepository(identity)
    add_pending_codes(repository)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await passwords.change_password(
            repository, identity, FakeLoginRateLimiter(), get_now, PRINCIPAL, "old", "new", ADDRESS
        )
    assert repository.revocations == {"ada": NOW}
    assert repository.events == [build_password_changed_mail(ADA)]
    assert_only_verification_is_pending(repository)


@pytest.mark.parametrize("errors", [{}, {"set_password": Reason.UPSTREAM_UNAVAILABLE}])
async def test_token_issued_during_password_change_is_revoked(errors: dict[str, Reason]) -> None:
    times = [NOW, NOW + timedelta(seconds=3)]
    repository, identity = FakeRepository(ADA), FakeIdentityProvider(**errors)
    with suppress(ApiError):
        await passwords.change_password(
            repository, identity, FakeLoginRateLimiter(), lambda: times.pop(0), PRINCIPAL, "old", "new", ADDRESS
        )
    assert repository.revocations == {"ada": NOW + timedelta(seconds=3)}


async def test_interrupted_password_reset_revokes_access_and_is_repeatable() -> None:
    identity = FakeIdentityProvider(set_password=Reason.UPSTREAM_UNAVAILABLE)
    repository = FakeRepository(ADA)
    change, _, reset = add_pending_codes(repository)
    plain_code, code = generate_code(CodePurpose.PASSWORD_RESET, "ada", NOW)
    repository.codes[code.digest] = code
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await passwords.reset_password(
            repository, identity, FakeLoginRateLimiter(), repository.clock, plain_code, "new", ADDRESS
        )
    assert repository.revocations == {"ada": NOW}
    assert change not in repository.codes
    assert {code.digest, reset} <= repository.codes.keys()


async def test_password_change_of_unknown_user_raises() -> None:
    with raises_reason(Reason.USER_NOT_FOUND):
        await passwords.change_password(
            FakeRepository(), FakeIdentityProvider(), FakeLoginRateLimiter(), get_now, PRINCIPAL, "old", "new", ADDRESS
        )


async def test_password_is_reset_once_by_code() -> None:
    repository, identity, limiter = FakeRepository(ADA), FakeIdentityProvider(), FakeLoginRateLimiter()
    plain_code, code = generate_code(CodePurpose.PASSWORD_RESET, "ada", NOW)
    repository.codes[code.digest] = code
    await passwords.reset_password(repository, identity, limiter, repository.clock, plain_code, "new", ADDRESS)
    assert identity.calls == [("set_password", "ada", "new")]
    assert limiter.subjects == [(None, ADDRESS)]
    with raises_reason(Reason.CODE_INVALID):
        await passwords.reset_password(repository, identity, limiter, repository.clock, plain_code, "x", ADDRESS)
    assert limiter.failures == [Reason.CODE_INVALID]
    assert len(identity.calls) == 1


@pytest.mark.parametrize("purpose", [CodePurpose.EMAIL_VERIFICATION, CodePurpose.EMAIL_CHANGE])
async def test_code_of_other_purpose_resets_no_password(purpose: CodePurpose) -> None:
    repository, identity, limiter = FakeRepository(ADA), FakeIdentityProvider(), FakeLoginRateLimiter()
    plain_code, code = generate_code(purpose, "ada", NOW, "new@delivery.test")
    repository.codes[code.digest] = code
    with raises_reason(Reason.CODE_INVALID):
        await passwords.reset_password(repository, identity, limiter, repository.clock, plain_code, "new", ADDRESS)
    assert identity.calls == []


async def test_concurrently_used_code_sets_no_password() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    plain_code, code = generate_code(CodePurpose.PASSWORD_RESET, "ada", NOW)
    repository.codes[code.digest] = code
    repository.locked_codes = {code.digest}
    with raises_reason(Reason.CODE_INVALID):
        await passwords.reset_password(
            repository, identity, FakeLoginRateLimiter(), repository.clock, plain_code, "new", ADDRESS
        )
    assert identity.calls == []


async def test_code_stays_valid_after_failed_password_reset() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider(set_password=Reason.UPSTREAM_UNAVAILABLE)
    plain_code, code = generate_code(CodePurpose.PASSWORD_RESET, "ada", NOW)
    repository.codes[code.digest] = code
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await passwords.reset_password(
            repository, identity, FakeLoginRateLimiter(), repository.clock, plain_code, "new", ADDRESS
        )
    assert repository.codes == {code.digest: code}
