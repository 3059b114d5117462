"""Re-authentication: recent sign-ins, and passwords with a limit of failed attempts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.gateway.usecases import reauthentication
from services.gateway.usecases.reauthentication import MAX_SIGN_IN_AGE
from services.runtime.core.errors import ReauthenticationRequiredError
from tests.unit.fake_transactions import NOW, build_principal, raises_reason
from tests.unit.gateway.fakes import ADA, FakeIdentityProvider, FakeLoginRateLimiter

PRINCIPAL = build_principal("customer")


@pytest.mark.parametrize("age", [timedelta(0), MAX_SIGN_IN_AGE])
def test_recent_sign_in_is_accepted(age: timedelta) -> None:
    reauthentication.require_recent_sign_in(lambda: NOW + age, PRINCIPAL)


@pytest.mark.parametrize("age", [timedelta(minutes=5, seconds=1), timedelta(days=20_000)])
def test_older_or_unknown_sign_in_is_rejected_with_maximum_age(age: timedelta) -> None:
    with pytest.raises(ReauthenticationRequiredError) as raised:
        reauthentication.require_recent_sign_in(lambda: NOW, replace(PRINCIPAL, authenticated_at=NOW - age))
    assert (raised.value.reason, raised.value.max_age) == (Reason.REAUTHENTICATION_REQUIRED, timedelta(minutes=5))


async def test_wrong_password_is_counted_as_failed_attempt() -> None:
    identity, limiter = FakeIdentityProvider(sign_in=Reason.CREDENTIALS_INVALID), FakeLoginRateLimiter()
    with raises_reason(Reason.PASSWORD_WRONG):
        await reauthentication.check_password(identity, limiter, ADA, "wrong", "192.0.2.1")
    assert limiter.subjects == [(ADA.email, "192.0.2.1")]
    assert limiter.failures == [Reason.CREDENTIALS_INVALID]
