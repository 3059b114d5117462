"""Envoys with generated bootstraps, rendered for the folder, ports and certificates of a test."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography import x509

from deploy import render_bootstrap
from deploy.local.pki.certificates import CertificateAuthority
from deploy.render_bootstrap import BOOTSTRAPS_DIR, get_default_value, load_placeholders
from tests.free_ports import find_free_ports

ENVOY_BINARY = Path(sys.executable).with_name("envoy")
TIMEOUT_S = 10.0
"""Timeout for the start and the stop of an Envoy, in seconds."""


def list_envoys(profile: str) -> list[str]:
    """Return the names of the Envoys of a profile."""
    return sorted(path.stem for path in (BOOTSTRAPS_DIR / profile).glob("*.yaml"))


def load_bootstrap(profile: str, name: str) -> dict[str, Any]:
    """Return a generated bootstrap with its placeholders."""
    text = (BOOTSTRAPS_DIR / profile / f"{name}.yaml").read_text(encoding="utf-8")
    bootstrap: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return bootstrap


def build_settings(folder: Path, **overrides: str) -> dict[str, str]:
    """Return a value for every setting: the override, an unused port, or the default."""
    placeholders = load_placeholders()
    port_names = [name for name, entry in placeholders.items() if entry.get("port")]
    defaults = {
        name: value for name, entry in placeholders.items() if (value := get_default_value(entry, "development"))
    }
    ports = {name: str(port) for name, port in zip(port_names, find_free_ports(len(port_names)), strict=True)}
    folders = {"RUN_DIR": str(folder / "run"), "PKI_DIR": str(folder / "pki"), "EDGE_PKI_DIR": str(folder / "pki")}
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    return defaults | ports | folders | overrides


def write_bootstrap(folder: Path, profile: str, name: str, values: Mapping[str, str]) -> Path:
    """Write a rendered bootstrap to a file and return its path."""
    path = folder / f"{profile}-{name}.yaml"
    render_bootstrap.write_bootstrap(path, Path(values["RUN_DIR"]), name, profile, values)
    return path


def issue_certificates(folder: Path, **additional_ids: str) -> CertificateAuthority:
    """Issue a certificate for every sidecar, and for additional SPIFFE ids by file name."""
    authority = CertificateAuthority(folder / "pki")
    authority.ensure_certificates()
    for name, identity in additional_ids.items():
        authority.issue_certificate(name, [x509.UniformResourceIdentifier(identity)])
    return authority


@contextmanager
def running_envoy(folder: Path, name: str, values: Mapping[str, str]) -> Iterator[None]:
    """Run an Envoy of the development profile. Raises AssertionError with its log if it does not become ready."""
    command = [str(ENVOY_BINARY), "-c", str(write_bootstrap(folder, "development", name, values))]
    options = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "--drain-time-s", "1"]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(process, int(values[f"{name.upper()}_ADMIN_PORT"]), folder / f"{name}.log")
        yield
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def wait_until_ready(process: subprocess.Popen[bytes], admin_port: int, log_path: Path) -> None:
    """Wait until the admin interface reports ready. Raises AssertionError with the log."""
    deadline = time.monotonic() + TIMEOUT_S
    with closing(httpx.Client(trust_env=False, timeout=1)) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(f"http://127.0.0.1:{admin_port}/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
    raise AssertionError(f"Envoy is not ready:\n{log_path.read_text(encoding='utf-8')}")
