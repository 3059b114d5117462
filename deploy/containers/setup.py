"""`python -m deploy.containers.setup`: create certificates, bootstraps and secrets for docker-compose.yml.

The command is idempotent and replaces files atomically, since container engines may run it again at any time.

Each sidecar shares one volume with its service. It contains their sockets, the bootstrap, and no other sidecar's key.
"""

from os import environ
from pathlib import Path

from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.pki.secrets import Secrets, write_private
from deploy.render_bootstrap import write_bootstrap

VOLUMES_DIR = Path("/var/lib/delivery")
SECRETS_DIR = Path("/run/secrets")
SIDECAR_RUN_DIR = "/run/delivery"
"""Mount path of the volume that a sidecar shares with its service."""


def write_certificates(authority: CertificateAuthority, name: str, target_dir: Path) -> None:
    """Copy the CA certificate and a sidecar's certificate and key; the gateway's sidecar also receives the edge's."""
    target_dir.mkdir(mode=0o700, exist_ok=True)
    names = [name, *(["edge"] if name == "gateway" else [])]
    for file in ("ca.pem", *(f"{each}.{kind}" for each in names for kind in ("pem", "key"))):
        write_private(target_dir / file, (authority.folder / file).read_text(encoding="utf-8"))


def main() -> None:
    """Write the files to the volumes that docker-compose.yml mounts."""
    authority = CertificateAuthority(VOLUMES_DIR / "authority")
    authority.ensure_certificates()
    for name in authority.sidecars:
        write_certificates(authority, name, VOLUMES_DIR / name / "pki")
        settings = {
            **environ,
            "RUN_DIR": SIDECAR_RUN_DIR,
            "PKI_DIR": f"{SIDECAR_RUN_DIR}/pki",
            "EDGE_PKI_DIR": f"{SIDECAR_RUN_DIR}/pki",
        }
        volume = VOLUMES_DIR / name
        write_bootstrap(volume / "envoy.json", volume, name, "development", settings, mode=0o600)
    secrets = Secrets(MeshConfig({"DELIVERY_STATE": str(VOLUMES_DIR / "authority")}), environ["SANDBOX_URL"])
    for path in (secrets.service_account, secrets.apns_key, secrets.signing_key):
        write_private(SECRETS_DIR / path.name, path.read_text(encoding="utf-8"))
    for name, value in {
        "encryption_key": secrets.encryption_key,
        "demo_webhook_secret": secrets.webhook_secret,
        "sandbox_webhook_secret": secrets.webhook_secret,
    }.items():
        write_private(SECRETS_DIR / name, value)


if __name__ == "__main__":
    main()
