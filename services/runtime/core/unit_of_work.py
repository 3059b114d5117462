"""Ports of units of work: the transactions that use cases open."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse


class LocksRequired(Exception):
    """Operation of a unit of work without locks that must be repeated with locks."""


class UnitOfWorkFactory[Unit](Protocol):
    """Factory of units of work. One is committed at the end of its block, and rolled back if the block raises."""

    def unit_of_work(self) -> AbstractAsyncContextManager[Unit]:
        """Open a unit of work."""

    async def run_optimistically[Result](self, operation: Callable[[Unit], Awaitable[Result]]) -> Result:
        """Run an operation in a unit of work without locks, or else with locks; return its result.

        Without locks, the operation first reads, then writes. It is repeated with locks if a row that it updates has
        changed since it was read, if a row that it inserts exists, or if it raises LocksRequired. So all its effects
        must be those of the unit.
        """


class IdempotentUnitOfWorkFactory[Unit](UnitOfWorkFactory[Unit], Protocol):
    """Factory of units of work that may store the response of a request with an idempotency key."""

    def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AbstractAsyncContextManager[tuple[Unit, IdempotentResponse]]:
        """Open a unit of work with the response of an earlier request with the key, or an empty one, to be set."""

    async def run_idempotently(
        self, key: IdempotencyKey | None, operation: Callable[[Unit], Awaitable[bytes]]
    ) -> IdempotentResponse:
        """Run an operation that returns a response as `run_optimistically` does, with a key at most once.

        Return its response, or that of an earlier request with the key.
        """


class OptimisticUnitOfWork(Protocol):
    """One transaction, with locks unless it is opened by `UnitOfWorkFactory.run_optimistically`."""

    def require_locks(self) -> None:
        """Raise LocksRequired in a transaction without locks."""


class PublishingUnitOfWork[Event](Protocol):
    """One transaction that publishes events."""

    async def publish(self, event: Event) -> None:
        """Add an event to the outbox; it is published after the transaction has committed."""


class EventUnitOfWork[Event](PublishingUnitOfWork[Event], Protocol):
    """One transaction that consumes and publishes events."""

    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        """Mark an event as processed by a queue's consumer; return False if it already was."""
