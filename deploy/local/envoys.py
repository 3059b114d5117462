"""The sidecars: bootstraps filled in for this machine, and the processes."""

import sys
import time
from pathlib import Path

import httpx

from deploy.bootstrap import default, fill
from deploy.drain import ask
from deploy.local.process import Process
from deploy.local.state import State

DRAIN_S = 1
"""Seconds in which connections are asked to go elsewhere before an Envoy stops."""

PROFILE = "development"


def render(state: State, name: str) -> Path:
    """Fills in a bootstrap's placeholders. Raises KeyError for one that nobody knows."""
    told = {
        **{key: state.setting(key) for key, entry in state.mesh.items() if default(entry, PROFILE) is not None},
        **{key: str(number) for key, (number, _) in state.ports.items()},
        "ADMIN_BIND": state.bind,
        "RUN_DIR": str(state.run),
        **dict.fromkeys(("PKI_DIR", "EDGE_PKI_DIR"), str(state.sub("pki"))),
        "JWKS_PORT": str(state.port("SANDBOX_PORT")),
    }
    path = state.sub("envoy") / f"{name}.yaml"
    path.write_text(fill(name, PROFILE, told))
    return path


def admin(state: State, name: str) -> httpx.Client:
    """A client of an Envoy's admin: on its port, or on a unix socket if it has none."""
    variable = f"{name.upper()}_ADMIN_PORT"
    if variable in state.ports:
        return httpx.Client(base_url=f"http://{state.bind}:{state.port(variable)}", trust_env=False, timeout=1)
    transport = httpx.HTTPTransport(uds=str(state.run / f"{name}-admin.sock"))
    return httpx.Client(base_url="http://admin", transport=transport, trust_env=False, timeout=1)


def sidecar(state: State, name: str) -> Process:
    """One Envoy, ready when its admin says so."""

    def ready() -> bool:
        with admin(state, name) as client:
            return client.get("/ready").status_code == 200

    def drain() -> None:
        with admin(state, name) as client:
            ask(client)
        time.sleep(DRAIN_S)

    names = {f"{name.upper()}_{door}_PORT" for door in ("ADMIN", "INGRESS", "PROBE")}
    names |= {"gateway": {"EDGE_PORT", "EDGE_TLS_PORT"}, "ops": {"OPS_PORT"}}.get(name, set())
    return Process(
        name=f"{name}-envoy",
        command=[
            str(Path(sys.executable).with_name("envoy")),
            *("-c", str(render(state, name)), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"),
            *("--drain-time-s", str(DRAIN_S), "--file-flush-interval-msec", "1000"),
        ],
        environment={},
        ready=ready,
        before_stop=drain,
        ports=sorted(names & state.ports.keys()),
        sockets=[f"{name}-egress.sock", f"{name}-admin.sock"],
    )
