"""Sidecars of the local mesh: rendered bootstraps and process specifications."""

import sys
import time
from pathlib import Path

import httpx

from deploy import render_bootstrap
from deploy.drain import start_draining
from deploy.local.infrastructure.local_http import NO_AUTHORITIES, TIMEOUT_S
from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import ProcessSpec

DRAIN_TIME_S = 1
"""Seconds to drain connections before an Envoy stops."""

PROFILE = "development"


def get_bootstrap_path(config: MeshConfig, name: str) -> Path:
    """Return the path of a sidecar's rendered bootstrap."""
    return config.ensure_subdirectory("envoy") / f"{name}.json"


def write_bootstrap(config: MeshConfig, name: str) -> Path:
    """Render a bootstrap and return its path. Raises KeyError for a placeholder without a value."""
    values = {
        **{
            key: config.get_setting(key)
            for key, entry in config.mesh_settings.items()
            if render_bootstrap.get_default_value(entry, PROFILE) is not None
        },
        **{key: str(number) for key, (number, _) in config.ports.items()},
        "RUN_DIR": str(config.socket_dir),
        **dict.fromkeys(("PKI_DIR", "EDGE_PKI_DIR"), str(config.ensure_subdirectory("pki"))),
        "JWKS_PORT": str(config.get_port("SANDBOX_PORT")),
    }
    path = get_bootstrap_path(config, name)
    render_bootstrap.write_bootstrap(path, config.socket_dir, name, PROFILE, values)
    return path


def open_admin_client(config: MeshConfig, name: str) -> httpx.Client:
    """Return a client of an Envoy's admin interface, on its port or, without one, on a Unix socket."""
    variable = f"{name.upper()}_ADMIN_PORT"
    if variable in config.ports:
        return httpx.Client(
            base_url=f"http://{config.admin_bind_address}:{config.get_port(variable)}",
            verify=NO_AUTHORITIES,
            trust_env=False,
            timeout=TIMEOUT_S,
        )
    transport = httpx.HTTPTransport(uds=str(config.socket_dir / f"{name}-admin.sock"), verify=NO_AUTHORITIES)
    return httpx.Client(base_url="http://admin", transport=transport, trust_env=False, timeout=TIMEOUT_S)


def define_sidecar(config: MeshConfig, name: str) -> ProcessSpec:
    """Define an Envoy process, whose readiness is the admin endpoint /ready."""

    def is_ready() -> bool:
        with open_admin_client(config, name) as client:
            return client.get("/ready").status_code == 200

    def drain() -> None:
        with open_admin_client(config, name) as client:
            start_draining(client)
        time.sleep(DRAIN_TIME_S)

    names = {f"{name.upper()}_{listener}_PORT" for listener in ("ADMIN", "INGRESS", "PROBE")}
    names |= {"gateway": {"EDGE_PORT", "EDGE_TLS_PORT"}, "ops": {"OPS_PORT"}}.get(name, set())
    return ProcessSpec(
        name=f"{name}-envoy",
        command=[
            str(Path(sys.executable).with_name("envoy")),
            *(
                "-c",
                str(write_bootstrap(config, name)),
                "--disable-hot-restart",
                "--concurrency",
                "1",
                "--log-level",
                "warn",
            ),
            *("--drain-time-s", str(DRAIN_TIME_S), "--file-flush-interval-msec", "1000"),
        ],
        environment={},
        is_ready=is_ready,
        before_stop=drain,
        port_variables=sorted(names & config.ports.keys()),
        sockets=[f"{name}-egress.sock", f"{name}-admin.sock"],
    )
