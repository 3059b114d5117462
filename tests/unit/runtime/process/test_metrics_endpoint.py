"""Metrics endpoint: requests, refreshed gauges and the cached response."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import BrokerUnavailable
from services.runtime.process import metrics_endpoint
from services.runtime.process.metrics_endpoint import MetricsServer
from services.runtime.telemetry import http_server
from services.runtime.telemetry.metrics import ObservableGauge, setup_metrics
from tests.wait import wait_until_async

GAUGE = ObservableGauge("test.level", "Test gauge.", "s", "queue")


@pytest.fixture
async def metrics_socket(tmp_path: Path) -> AsyncIterator[Path]:
    """Return the socket of a metrics endpoint whose second gauge refresh fails."""
    refreshes = 0

    async def refresh() -> None:
        nonlocal refreshes
        GAUGE.set({})
        refreshes += 1
        if refreshes > 1:
            raise BrokerUnavailable("unavailable")
        GAUGE.set({("orders.history",): 3})

    path = tmp_path / "x-metrics.sock"
    task = asyncio.create_task(MetricsServer(setup_metrics("test", "test"), [refresh], cache_ttl_s=0).run(path))
    await wait_until_async(path.exists, interval_s=0)
    yield path
    task.cancel()
    await asyncio.wait([task])
    assert not path.exists()


async def send_request(path: Path, request: bytes) -> tuple[bytes, str]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head.split(b"\r\n")[0], body.decode()


async def test_scrape_includes_refreshed_gauges(metrics_socket: Path) -> None:
    http_server.bind_duration("confirmOrder", "/orders", "POST", "https").record(201, 0.02)
    status, body = await send_request(metrics_socket, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
    assert status == b"HTTP/1.1 200 OK"
    samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
    (gauge,) = [sample for sample in samples if sample.name == "test_level_seconds"]
    assert (gauge.labels, gauge.value) == ({"queue": "orders.history"}, 3)
    labels = {
        "operation": "confirmOrder",
        "http_route": "/orders",
        "http_request_method": "POST",
        "url_scheme": "https",
        "http_response_status_code": "201",
    }
    assert {sample.name for sample in samples if sample.labels.items() - {("error_type", "")} == labels.items()} == {
        f"http_server_request_duration_seconds_{part}" for part in ("count", "sum")
    }
    _, body = await send_request(metrics_socket, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert "test_level" not in body, "a gauge has no value while its refresh fails"


@pytest.mark.parametrize("request_line", [b"POST /metrics", b"GET /", b"GET /metrics/x", b"HEAD /metrics", b"nonsense"])
async def test_other_requests_return_404(metrics_socket: Path, request_line: bytes) -> None:
    status, body = await send_request(metrics_socket, request_line + b" HTTP/1.1\r\n\r\n")
    assert status == b"HTTP/1.1 404 Not Found"
    assert "duration" not in body


async def test_connection_with_oversized_request_is_closed(metrics_socket: Path) -> None:
    assert await send_request(metrics_socket, b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 70_000) == (b"", "")


async def test_incomplete_request_is_closed_after_the_timeout(
    metrics_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_endpoint, "TIMEOUT_S", 0.01)
    assert await send_request(metrics_socket, b"GET /metrics HTTP/1.1\r\n") == (b"", "")


async def test_socket_is_accessible_to_owner_only(metrics_socket: Path) -> None:
    assert metrics_socket.stat().st_mode & 0o777 == 0o600


class CountingRefresh:
    """Refresh that is counted, and raises an error or hangs if so configured."""

    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.calls = 0
        self._error = error
        self._hangs = hangs

    async def __call__(self) -> None:
        self.calls += 1
        if self._hangs:
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error


async def test_response_is_cached_for_frequent_scrapes() -> None:
    refresh = CountingRefresh()
    server = MetricsServer(setup_metrics("test", "test"), [refresh], cache_ttl_s=60)
    assert len({await server.render() for _ in range(3)}) == 1
    assert refresh.calls == 1


async def test_concurrent_scrapes_share_one_refresh() -> None:
    refresh = CountingRefresh()
    server = MetricsServer(setup_metrics("test", "test"), [refresh], cache_ttl_s=60)
    await asyncio.gather(*(server.render() for _ in range(5)))
    assert refresh.calls == 1


async def test_expired_response_is_rendered_again() -> None:
    refresh = CountingRefresh()
    server = MetricsServer(setup_metrics("test", "test"), [refresh], cache_ttl_s=0)
    for _ in range(3):
        await server.render()
    assert refresh.calls == 3


@pytest.mark.parametrize(
    "failing",
    [
        CountingRefresh(BrokerUnavailable("not connected")),
        CountingRefresh(ApiError(Reason.UPSTREAM_UNAVAILABLE)),
        CountingRefresh(hangs=True),
    ],
    ids=["broker", "database", "timeout"],
)
async def test_failed_refresh_does_not_prevent_others(
    monkeypatch: pytest.MonkeyPatch, failing: CountingRefresh
) -> None:
    monkeypatch.setattr(metrics_endpoint, "TIMEOUT_S", 0.01)
    other = CountingRefresh()
    assert await MetricsServer(setup_metrics("test", "test"), [failing, other]).render()
    assert (failing.calls, other.calls) == (1, 1)


async def test_programming_error_of_a_refresh_is_raised() -> None:
    with pytest.raises(KeyError):
        await MetricsServer(setup_metrics("test", "test"), [CountingRefresh(KeyError("queue"))]).render()
