"""Workers that deliver notifications."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial

from opentelemetry.trace import Span, SpanKind

from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.usecases.delivery_jobs import DueJobsQueue
from services.runtime.concurrency.worker_pool import WorkerPool
from services.runtime.core.clock import Clock
from services.runtime.telemetry import tracing

POLL_INTERVAL_S = 0.25
"""Poll interval of the queue, for jobs that become due and jobs added by other processes."""


def create_delivery_workers(
    queue: DueJobsQueue,
    deliver: Callable[[DeliveryJob], Awaitable[None]],
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


def _start_delivery_span(job: DeliveryJob) -> AbstractContextManager[Span]:
    attributes = {"delivery.notification.id": job.id, "delivery.notification.event": job.notification.event}
    return tracing.start_span("deliver notification", SpanKind.CONSUMER, dict(job.trace_context), attributes, link=True)
