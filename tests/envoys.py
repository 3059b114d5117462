"""Envoys with generated bootstraps, rendered for the folder, ports and certificates of a test."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509

from deploy import render_bootstrap
from deploy.local.pki.certificates import CertificateAuthority
from deploy.render_bootstrap import BOOTSTRAPS_DIR, get_default_value, load_placeholders
from tests.free_ports import find_free_ports
from tests.wait import wait_until_process_is_ready

ENVOY_BINARY = Path(sys.executable).with_name("envoy")
TIMEOUT_S = 10.0
"""Timeout for the start and the stop of an Envoy, in seconds."""


def list_envoys(profile: str) -> list[str]:
    """Return the names of the Envoys of a profile."""
    return sorted(path.stem for path in (BOOTSTRAPS_DIR / profile).glob("*.json"))


def load_bootstrap(profile: str, name: str) -> dict[str, Any]:
    """Return a generated bootstrap with its placeholders."""
    text = (BOOTSTRAPS_DIR / profile / f"{name}.json").read_text(encoding="utf-8")
    bootstrap: dict[str, Any] = json.loads(text)
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
    path = folder / f"{profile}-{name}.json"
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
def running_envoy(
    folder: Path, name: str, values: Mapping[str, str], replacements: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run an Envoy of the development profile. Raises AssertionError with its log if it does not become ready.

    `replacements` replaces texts of the bootstrap.
    """
    bootstrap = write_bootstrap(folder, "development", name, values)
    text = bootstrap.read_text(encoding="utf-8")
    for old, new in (replacements or {}).items():
        # pytest would take minutes to explain that a bootstrap does not contain the text.
        count = text.count(old)
        assert count, f"{old} is not in the bootstrap"
        text = text.replace(old, new)
    bootstrap.write_text(text, encoding="utf-8")
    admin_url = f"http://127.0.0.1:{values[f'{name.upper()}_ADMIN_PORT']}"
    with running_envoy_process(bootstrap, admin_url, folder / f"{name}.log"):
        yield


@contextmanager
def running_envoy_process(bootstrap: Path, admin_url: str, log_path: Path) -> Iterator[None]:
    """Run an Envoy with a bootstrap. Raises AssertionError with its log if it does not become ready."""
    command = [str(ENVOY_BINARY), "-c", str(bootstrap)]
    options = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "--drain-time-s", "1"]
    with log_path.open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_process_is_ready(process, f"{admin_url}/ready", TIMEOUT_S, log_path)
        yield
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)
