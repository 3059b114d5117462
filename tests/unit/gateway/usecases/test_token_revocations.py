"""Revoked tokens: comparison with the time of issue, expiry, watchers and replacement of new tokens."""

import asyncio
import time
from datetime import datetime, timedelta

import pytest

from generated.problems import Reason
from services.gateway.domain.accounts import SessionTokens
from services.gateway.usecases import token_revocations
from services.gateway.usecases.token_revocations import (
    MAX_AGE_S,
    MAX_TOKEN_LIFETIME,
    RevokedTokens,
    TokenRevocation,
)
from services.runtime.core.principal import Principal
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.gateway.fakes import FakeIdentityProvider

SECOND = timedelta(seconds=1)


def build_principal(issued_at: datetime, user_id: str = "ada") -> Principal:
    return Principal(user_id, "customer", "", True, NOW + timedelta(hours=1), issued_at=issued_at)


def load_revocations(*revocations: TokenRevocation) -> RevokedTokens:
    revoked_tokens = RevokedTokens(lambda: NOW)
    revoked_tokens.load(revocations)
    revoked_tokens.confirm(time.monotonic())
    return revoked_tokens


@pytest.mark.parametrize("issued_at", [NOW - timedelta(minutes=59), NOW - SECOND, NOW])
async def test_token_issued_until_revocation_is_rejected(issued_at: datetime) -> None:
    revoked_tokens = load_revocations(TokenRevocation("ada", NOW + timedelta(milliseconds=700)))
    with raises_reason(Reason.TOKEN_REVOKED):
        await revoked_tokens.require_valid(build_principal(issued_at))


async def test_later_token_and_tokens_of_other_users_are_valid() -> None:
    revoked_tokens = load_revocations(TokenRevocation("ada", NOW + timedelta(milliseconds=700)))
    await revoked_tokens.require_valid(build_principal(NOW + SECOND))
    await revoked_tokens.require_valid(build_principal(NOW, "bob"))


def test_earlier_revocation_does_not_replace_later_one() -> None:
    revoked_tokens = load_revocations(TokenRevocation("ada", NOW))
    revoked_tokens.add(TokenRevocation("ada", NOW - timedelta(minutes=1)))
    assert revoked_tokens.find_revocation("ada", NOW) == NOW


@pytest.mark.parametrize("age_s", [None, MAX_AGE_S + 0.1], ids=["not loaded", "not confirmed"])
async def test_no_token_is_accepted_without_recent_revocations(
    monkeypatch: pytest.MonkeyPatch, age_s: float | None
) -> None:
    monkeypatch.setattr(token_revocations, "MAX_WAIT_S", 0.01)
    revoked_tokens = RevokedTokens(lambda: NOW)
    if age_s is not None:
        revoked_tokens.confirm(time.monotonic() - age_s)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE) as raised:
        await revoked_tokens.require_valid(build_principal(NOW))
    assert raised.value.retry_after


async def test_request_waits_until_revocations_are_confirmed() -> None:
    revoked_tokens = RevokedTokens(lambda: NOW)
    waiting = asyncio.create_task(revoked_tokens.require_valid(build_principal(NOW)))
    await asyncio.sleep(0)
    revoked_tokens.confirm(time.monotonic() - MAX_AGE_S - 0.1)
    await asyncio.sleep(0)
    assert not waiting.done()
    revoked_tokens.add(TokenRevocation("ada", NOW))
    revoked_tokens.confirm(time.monotonic())
    with raises_reason(Reason.TOKEN_REVOKED):
        await waiting


def test_revocation_is_removed_when_its_tokens_have_expired() -> None:
    now = NOW
    revoked_tokens = RevokedTokens(lambda: now)
    revoked_tokens.load([TokenRevocation("ada", NOW)])
    now += MAX_TOKEN_LIFETIME
    revoked_tokens.load([])
    assert revoked_tokens.find_revocation("ada", NOW) == NOW
    now += SECOND
    revoked_tokens.load([])
    assert revoked_tokens.find_revocation("ada", NOW) is None


async def test_watcher_of_older_token_is_notified() -> None:
    revoked_tokens = load_revocations()
    with (
        revoked_tokens.watch(build_principal(NOW)) as older,
        revoked_tokens.watch(build_principal(NOW + SECOND)) as newer,
        revoked_tokens.watch(build_principal(NOW, "bob")) as other,
    ):
        revoked_tokens.add(TokenRevocation("ada", NOW))
        assert [revoked.done() for revoked in (older, newer, other)] == [True, False, False]
        with revoked_tokens.watch(build_principal(NOW)) as late:
            assert late.done()


@pytest.mark.parametrize("revoked_at", [NOW - SECOND, NOW + MAX_TOKEN_LIFETIME])
async def test_tokens_of_new_session_are_not_replaced(revoked_at: datetime) -> None:
    identity = FakeIdentityProvider()
    tokens = SessionTokens("access", "refresh", 3600, "ada", NOW)
    assert await load_revocations(TokenRevocation("ada", revoked_at)).replace_revoked(identity, tokens) == tokens
    assert identity.calls == []
