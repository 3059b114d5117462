"""`python -m deploy.local.pki.authority_rotation`: replace the certificate authority of a running mesh.

Certificates of both authorities are accepted until every Envoy has a certificate of the new one, so that no connection
is rejected.
"""

import base64
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from deploy.local.infrastructure import envoys
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.pki.external_callers import list_enrolled_callers
from deploy.local.supervisor.supervisor_state import read_running_state

TIMEOUT_S = 30.0
"""Seconds in which every Envoy has to load a changed file."""

POLL_INTERVAL_S = 0.1


class FilesNotLoaded(Exception):
    """An Envoy has not loaded the present files within TIMEOUT_S. The rotation can be repeated."""


def has_loaded_files(client: httpx.Client, folder: Path) -> bool:
    """Return whether an Envoy has loaded the present certificates of a folder. The client is that of its admin."""
    dump = client.get("/config_dump", params={"resource": "dynamic_active_secrets"}).raise_for_status().json()
    return all(
        _decode_certificates(each["secret"]) == (folder / f"{each['name']}.pem").read_bytes()
        for each in dump.get("configs", ())
    )


def _decode_certificates(secret: dict[str, dict[str, dict[str, str]]]) -> bytes:
    content = secret["validation_context"]["trusted_ca"] if "validation_context" in secret else None
    return base64.b64decode((content or secret["tls_certificate"]["certificate_chain"])["inline_bytes"])


def rotate_authority(authority: CertificateAuthority, wait_until_loaded: Callable[[], object]) -> None:
    """Replace an authority and all certificates. The function waits until all Envoys have loaded the files."""
    authority.start_rotation()
    wait_until_loaded()
    authority.issue_with_new_authority()
    wait_until_loaded()
    authority.finish_rotation()


def wait_until_all_loaded(config: MeshConfig, names: list[str]) -> None:
    """Wait until the named Envoys have loaded the present files. Raises FilesNotLoaded."""
    deadline = time.monotonic() + TIMEOUT_S
    for name in names:
        with envoys.open_admin_client(config, name) as client:
            while not has_loaded_files(client, config.ensure_subdirectory("pki")):
                if time.monotonic() > deadline:
                    raise FilesNotLoaded(f"the Envoy of {name} has not loaded its certificates: make logs")
                time.sleep(POLL_INTERVAL_S)


def main() -> int:
    """Rotate the authority of the running mesh. Return the exit code."""
    config = MeshConfig()
    config.validate()
    if read_running_state(config) is None:
        print("the mesh is not running; start it with: make up", file=sys.stderr)
        return 1
    authority = CertificateAuthority(config.ensure_subdirectory("pki"))
    names = [*authority.sidecars, *list_enrolled_callers(config, authority)]
    try:
        rotate_authority(authority, lambda: wait_until_all_loaded(config, names))
    except (FilesNotLoaded, httpx.HTTPError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"the certificates of {', '.join(names)} and of the edge have a new authority")
    return 0


if __name__ == "__main__":
    sys.exit(main())
