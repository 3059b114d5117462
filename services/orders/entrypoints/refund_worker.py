"""Workers that send due refunds to the banks."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial

from services.orders import usecases
from services.orders.domain.payments import Refund
from services.orders.usecases.ports import Repository
from services.orders.usecases.refunds import PaymentSystem, RefundQueue
from services.runtime.concurrency.worker_pool import WorkerPool
from services.runtime.core.clock import Clock

MAX_CONCURRENT = 16
"""Refunds that one process sends concurrently."""

LEASE = timedelta(seconds=60)
"""Lease of a claimed refund; longer than the largest permitted bank timeout."""


def create_refund_workers(
    queue: RefundQueue,
    repository: Repository,
    payment_system: PaymentSystem,
    clock: Clock,
    *,
    retry_delays_s: Sequence[float],
    poll_interval_s: float,
    trace: Callable[[Refund], AbstractContextManager[object]],
    wakeup: asyncio.Event,
) -> WorkerPool[Refund]:
    """Return the worker pool of refunds. `trace` traces one attempt, including the recording of its result."""
    return WorkerPool(
        name="refund",
        claim=queue.claim_due,
        run_job=partial(usecases.send_refund, queue, repository, payment_system, clock, retry_delays_s),
        record_failure=partial(usecases.record_refund_error, queue, repository, clock, retry_delays_s),
        trace=trace,
        clock=clock,
        lease=LEASE,
        max_concurrent=MAX_CONCURRENT,
        poll_interval_s=poll_interval_s,
        wakeup=wakeup,
    )
