"""Process specification of the trace viewer; containers run Jaeger instead."""

import os
import sys

from deploy.local.infrastructure.local_http import is_successful
from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import ProcessSpec


def define_trace_viewer(config: MeshConfig) -> ProcessSpec:
    """Define the trace viewer, which receives spans on the OTLP ports."""

    def is_ready() -> bool:
        return is_successful(f"{config.traces_url}/api/services")

    limits = {name: os.environ[name] for name in ("TRACE_STORE_MB",) if name in os.environ}
    ports = ["TRACES_PORT", "OTLP_PORT", "OTLP_HTTP_PORT"]
    return ProcessSpec(
        name="traces",
        command=[sys.executable, "-m", "deploy.trace_viewer"],
        environment={"BIND": config.bind_address} | {name: str(config.get_port(name)) for name in ports} | limits,
        is_ready=is_ready,
        port_variables=ports,
    )
