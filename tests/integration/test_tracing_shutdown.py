"""Shutdown of tracing without a collector that responds."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def unresponsive() -> Iterator[str]:
    """Return the endpoint of a collector that accepts connections and never responds."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def unavailable() -> str:
    """Return the endpoint of a collector that accepts no connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("collector", ["unresponsive", "unavailable"])
def test_shutdown_is_bounded_without_collector(request: pytest.FixtureRequest, collector: str) -> None:
    program = """
import os, time
from services.runtime.telemetry import tracing
provider = tracing.setup_tracing("test", "test", 100)
for _ in range(4000):
    with tracing.start_span("serve", tracing.SpanKind.SERVER):
        pass
print(time.monotonic(), flush=True)
tracing.shutdown_tracing(provider)
"""
    environment = {
        **os.environ,
        ENDPOINT_VARIABLE: request.getfixturevalue(collector),
        "PYTHONPATH": str(ROOT),
        "GRPC_VERBOSITY": "ERROR",
    }
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        encoding="utf-8",
    )
    # The exporter's own timeout would be eight seconds. The limit allows for a slow interpreter exit on a busy machine.
    assert time.monotonic() - float(result.stdout) < 5
