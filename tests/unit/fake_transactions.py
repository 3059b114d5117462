"""Units of work of in-memory fakes, and principals for tests of use cases."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from copy import copy
from datetime import UTC, datetime
from typing import Self

import pytest

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.principal import Principal

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def build_principal(role: str | None, user_id: str = "ada") -> Principal:
    return Principal(
        user_id, role, f"{user_id}@delivery.test", email_verified=True, expires_at=NOW, authenticated_at=NOW
    )


class FakeTransactions:
    """Fake whose attributes are its stored data: a unit of work that raises restores them."""

    def __init__(self) -> None:
        self.now = NOW
        self.events: list[object] = []
        self.processed_events: set[tuple[str, str]] = set()
        self.responses: dict[IdempotencyKey, bytes] = {}

    def clock(self) -> datetime:
        return self.now

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Self]:
        before = {name: copy(value) for name, value in vars(self).items()}
        try:
            yield self
        except BaseException:
            vars(self).update(before)
            raise

    async def run_optimistically[Result](self, operation: Callable[[Self], Awaitable[Result]]) -> Result:
        async with self.unit_of_work() as unit:
            return await operation(unit)

    def require_locks(self) -> None:
        """Do nothing: the fake has no concurrent units of work."""

    @asynccontextmanager
    async def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AsyncIterator[tuple[Self, IdempotentResponse]]:
        response = IdempotentResponse()
        if key in self.responses:
            response = IdempotentResponse(self.responses[key], replayed=True)
        async with self.unit_of_work():
            yield self, response
            if key is not None:
                self.responses[key] = response.data

    async def run_idempotently(
        self, key: IdempotencyKey | None, operation: Callable[[Self], Awaitable[bytes]]
    ) -> IdempotentResponse:
        async with self.idempotent_unit_of_work(key) as (unit, response):
            if not response.replayed:
                response.data = await operation(unit)
        return response

    async def publish(self, event: object) -> None:
        self.events.append(event)

    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        is_new = (queue, event_id) not in self.processed_events
        self.processed_events.add((queue, event_id))
        return is_new


@contextmanager
def raises_reason(reason: Reason) -> Iterator[pytest.ExceptionInfo[ApiError]]:
    """Check that the block raises an ApiError with the reason."""
    with pytest.raises(ApiError) as raised:
        yield raised
    assert raised.value.reason is reason
