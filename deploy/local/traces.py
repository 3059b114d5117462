"""The trace page, as a child; containers have Jaeger in its place."""

import os
import sys

import httpx

from deploy.local.process import Process
from deploy.local.state import State


def traces(state: State) -> Process:
    """Takes spans in on OTLP's own ports, and shows them."""

    def ready() -> bool:
        return httpx.get(f"{state.traces}/api/services", trust_env=False, timeout=1).is_success

    kept = {name: os.environ[name] for name in ("TRACES_MEGABYTES",) if name in os.environ}
    ports = ["TRACES_PORT", "OTLP_PORT", "OTLP_HTTP_PORT"]
    return Process(
        name="traces",
        command=[sys.executable, "-m", "deploy.traces"],
        environment={"BIND": state.bind} | {name: str(state.port(name)) for name in ports} | kept,
        ready=ready,
        ports=ports,
    )
