"""Jobs of deliveries: added once per event, and completed together with the event about their result.

Concurrent additions, and concurrent completions, share one transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from generated.events import NotificationsEvent
from services.notifications.domain.delivery_state import DeliveryJob, Lease, SourceKey
from services.notifications.usecases.ports import PreparedEvent, Repository
from services.runtime.concurrency.micro_batching import MicroBatcher


class DueJobsQueue(Protocol):
    """Queue of due jobs."""

    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        """Lease due jobs of at least `min_priority` until `lease_expires_at`, most urgent first."""


class DeliveryJobs:
    """Use cases of delivery jobs."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._insertions = MicroBatcher(self._insert_all)
        self._completions = MicroBatcher(self._complete_all)

    async def add(self, source_queue: str, event_id: str, job: DeliveryJob) -> bool:
        """Add a job; return False if the event has been processed before."""
        return await self._insertions.submit(((source_queue, event_id), job))

    async def _insert_all(self, items: Sequence[tuple[SourceKey, DeliveryJob]]) -> Sequence[bool]:
        jobs = dict(reversed(items))
        new_events = await self._repository.jobs.add_new(jobs)
        return [event in new_events and jobs[event] is job for event, job in items]

    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        """Store the job's state and release it until `due_at`; return False if the lease is lost."""
        return await self._repository.jobs.reschedule(job, due_at)

    async def complete(self, lease: Lease, event: NotificationsEvent) -> bool:
        """Delete a job and publish the event about its result; return False if the lease is lost."""
        return await self._completions.submit((lease, self._repository.prepare_event(event)))

    async def _complete_all(self, items: Sequence[tuple[Lease, PreparedEvent]]) -> Sequence[bool]:
        completed = await self._repository.jobs.complete(dict(items))
        return [lease in completed for lease, _ in items]
