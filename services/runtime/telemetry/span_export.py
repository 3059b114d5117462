"""Export of spans in batches, by a thread that takes no processor time while no span ends.

The SDK's `BatchSpanProcessor` wakes up once in each delay, and the threads of a gRPC channel several times a second.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import override

from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
)
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger(__name__)

DEFAULT_DELAY_MS, DEFAULT_BATCH_SIZE, DEFAULT_QUEUE_SIZE = 5000, 512, 2048
"""Defaults of the SDK for the variables OTEL_BSP_SCHEDULE_DELAY, …_MAX_EXPORT_BATCH_SIZE and …_MAX_QUEUE_SIZE."""

CLOSE_AFTER_S = 10.0
"""Seconds without spans after which the exporter is closed. The next batch creates another one."""


class IdleSpanProcessor(SpanProcessor):
    """Exports sampled spans in batches, a delay after the first one of a batch. Spans of a full queue are dropped."""

    def __init__(self, create_exporter: Callable[[], SpanExporter]) -> None:
        self._create_exporter = create_exporter
        self._exporter: SpanExporter | None = None
        self._delay_s = int(os.environ.get(OTEL_BSP_SCHEDULE_DELAY, DEFAULT_DELAY_MS)) / 1000
        self._batch_size = int(os.environ.get(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, DEFAULT_BATCH_SIZE))
        self._queue_size = int(os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE, DEFAULT_QUEUE_SIZE))
        self._queue = queue.SimpleQueue[ReadableSpan | None]()
        self._is_full = threading.Event()
        """Set when a batch is complete, and at the shutdown, so that it is exported without a delay."""
        self._is_dropping = False
        """Set by the first dropped span until the queue was empty, so that only that span is logged."""
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="span-export", daemon=True)
        self._thread.start()

    @override
    def on_end(self, span: ReadableSpan) -> None:
        """Add a sampled span to the queue."""
        is_sampled = span.context is not None and span.context.trace_flags.sampled
        if not is_sampled or self._is_stopping:
            return
        if self._queue.qsize() >= self._queue_size:
            if not self._is_dropping:
                self._is_dropping = True
                log.warning("span dropped: queue of %d spans full; dropping until it has space", self._queue_size)
            return
        self._queue.put(span)
        if self._is_batch_complete():
            self._is_full.set()

    @override
    def shutdown(self) -> None:
        """Export the spans in the queue, and close the exporter."""
        self._is_stopping = True
        self._is_full.set()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._is_stopping or not self._queue.empty():
            try:
                span = self._queue.get(timeout=None if self._exporter is None else CLOSE_AFTER_S)
            except queue.Empty:
                self._close_exporter()
                continue
            if span is not None:
                self._is_full.wait(self._delay_s)
                spans = [span, *self._remove_queued(self._batch_size - 1)]
                if self._queue.empty():
                    self._is_dropping = False
                self._send(spans)
                self._is_full.clear()
                if self._is_stopping or self._is_batch_complete():
                    self._is_full.set()
        self._close_exporter()

    def _is_batch_complete(self) -> bool:
        """Return whether the spans in the queue and the first one, which the thread holds, are a batch."""
        return self._queue.qsize() >= self._batch_size - 1

    def _remove_queued(self, count: int) -> list[ReadableSpan]:
        spans = (self._queue.get() for _ in range(min(count, self._queue.qsize())))
        return [span for span in spans if span is not None]

    def _send(self, spans: list[ReadableSpan]) -> None:
        try:
            if self._exporter is None:
                self._exporter = self._create_exporter()
            self._exporter.export(spans)
        # Boundary of one batch: an unexpected error must not end the export of later ones.
        except Exception:
            log.exception("%d spans not exported: unexpected error; they are missing in traces", len(spans))

    def _close_exporter(self) -> None:
        exporter, self._exporter = self._exporter, None
        if exporter is None:
            return
        try:
            exporter.shutdown()
        # Boundary of one exporter: an unexpected error must not end the export of later spans.
        except Exception:
            log.exception("span exporter not closed: unexpected error; the next batch creates another one")
