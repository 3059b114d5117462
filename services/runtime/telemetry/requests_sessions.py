"""Telemetry of SDKs that send HTTP requests with sessions of the library `requests`, mostly in threads."""

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

import httpx
import requests
from opentelemetry import trace
from requests.adapters import BaseAdapter

from services.runtime.telemetry import http_client


class _MeasuredAdapter(BaseAdapter):
    """Adapter that measures each request of another one, and records its attributes in the current span."""

    def __init__(self, adapter: BaseAdapter) -> None:
        super().__init__()
        self._adapter = adapter

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        url = httpx.URL(request.url or "")
        with http_client.Measurement(request.method or "", url, trace.get_current_span()) as measurement:
            response = self._adapter.send(request, *args, **options)
            measurement.status = response.status_code
        return response

    def close(self) -> None:
        self._adapter.close()


def measure_requests(session: requests.Session) -> None:
    """Measure the requests of a session through its present adapters, whose settings remain."""
    for prefix, adapter in list(session.adapters.items()):
        session.mount(prefix, _MeasuredAdapter(adapter))


def bind_context[T](call: Callable[[], T]) -> Callable[[], T]:
    """Return the call with the current context, so that its thread has the current span."""
    return partial(copy_context().run, call)
