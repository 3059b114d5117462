"""Limits of failed sign-ins, counted in Memcached."""

import asyncio
from contextlib import closing

import pytest

from generated.problems import Reason
from services.gateway.adapters.login_rate_limiter import FailedAttemptLimits, MemcachedLoginRateLimiter
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from tests.integration.fixtures.gateway import (
    ExpectUnavailable,
    Gateway,
    get_error_reason,
)


async def test_concurrent_failed_attempts_are_all_counted(gateway: Gateway) -> None:
    account = f"{generate_id()}@delivery.test"

    async def attempt() -> Reason:
        async def fail() -> None:
            async with gateway.rate_limiter.limit(account, "192.0.2.7"):
                raise ApiError(Reason.CREDENTIALS_INVALID)

        return await get_error_reason(fail())

    reasons = await asyncio.gather(*(attempt() for _ in range(40)))
    assert sorted(map(str, reasons)).count("CREDENTIALS_INVALID") == 10
    assert set(reasons) == {Reason.CREDENTIALS_INVALID, Reason.TOO_MANY_REQUESTS}


async def test_account_limit_applies_across_client_addresses(gateway: Gateway) -> None:
    account, reasons = f"{generate_id()}@delivery.test", []
    with closing(
        MemcachedLoginRateLimiter(
            gateway.cache,
            FailedAttemptLimits(per_account_and_address=10, per_account=20, per_address=300),
        )
    ) as rate_limiter:
        for number in range(25):
            with pytest.raises(ApiError) as error:
                async with rate_limiter.limit(account, f"192.0.2.{number}"):
                    raise ApiError(Reason.CREDENTIALS_INVALID)
            reasons.append(error.value.reason)
    assert reasons == [Reason.CREDENTIALS_INVALID] * 20 + [Reason.TOO_MANY_REQUESTS] * 5


@pytest.mark.parametrize("changes", [{"address": "127.0.0.1:1"}, {"password": "wrong"}], ids=["down", "password"])
async def test_attempts_are_rejected_when_cache_is_unavailable(gateway: Gateway, changes: dict[str, str]) -> None:
    with closing(MemcachedLoginRateLimiter(gateway.cache._replace(**changes), FailedAttemptLimits())) as rate_limiter:
        async with ExpectUnavailable(), rate_limiter.limit("ada@delivery.test", "192.0.2.1"):
            pass
