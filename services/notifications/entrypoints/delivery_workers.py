"""Workers that deliver notifications."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import override

from opentelemetry.trace import Span, SpanKind

from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.usecases.delivery_jobs import DueJobsQueue
from services.notifications.usecases.enqueue import DeliveryWorkers
from services.runtime.concurrency.worker_pool import Reservation, WorkerPool
from services.runtime.core.clock import Clock
from services.runtime.telemetry import tracing

POLL_INTERVAL_S = 5.0
"""Poll interval of the queue, for the jobs of other processes; workers are woken for those of their own process."""


def create_delivery_workers(
    queue: DueJobsQueue,
    deliver: Callable[[DeliveryJob], Awaitable[datetime | None]],
    clock: Clock,
    *,
    min_priority: int,
    workers: int,
    lease: timedelta,
) -> WorkerPool[DeliveryJob]:
    """Return a worker pool for jobs of at least `min_priority`. A failed job is retried until it expires."""
    return WorkerPool(
        name="notification",
        claim=partial(queue.claim, min_priority),
        run_job=deliver,
        trace=_start_delivery_span,
        clock=clock,
        lease=lease,
        max_concurrent=workers,
        poll_interval_s=POLL_INTERVAL_S,
    )


class DeliveryWorkerPools(DeliveryWorkers):
    """Worker pools by the minimum priority of their jobs."""

    def __init__(self, pools: Mapping[int, WorkerPool[DeliveryJob]]) -> None:
        self._pools = pools

    @override
    def reserve(self, priority: int) -> Reservation[DeliveryJob] | None:
        for min_priority, pool in self._pools.items():
            if priority >= min_priority and (reservation := pool.reserve()) is not None:
                return reservation
        return None

    @override
    def notify(self) -> None:
        for pool in self._pools.values():
            pool.wakeup.set()


def _start_delivery_span(job: DeliveryJob) -> AbstractContextManager[Span]:
    attributes = {"delivery.notification.id": job.id, "delivery.notification.event": job.notification.event}
    return tracing.start_span("deliver notification", SpanKind.CONSUMER, dict(job.trace_context), attributes, link=True)
