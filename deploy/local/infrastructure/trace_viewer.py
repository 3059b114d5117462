"""The trace page, as a child; containers have Jaeger in its place."""

import os
import sys

import httpx

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import ProcessSpec


def define_trace_viewer(config: MeshConfig) -> ProcessSpec:
    """Takes spans in on OTLP's own ports, and shows them."""

    def ready() -> bool:
        return httpx.get(f"{config.traces_url}/api/services", trust_env=False, timeout=1).is_success

    kept = {name: os.environ[name] for name in ("TRACE_STORE_MB",) if name in os.environ}
    ports = ["TRACES_PORT", "OTLP_PORT", "OTLP_HTTP_PORT"]
    return ProcessSpec(
        name="traces",
        command=[sys.executable, "-m", "deploy.trace_viewer"],
        environment={"BIND": config.bind_address} | {name: str(config.get_port(name)) for name in ports} | kept,
        is_ready=ready,
        port_variables=ports,
    )
