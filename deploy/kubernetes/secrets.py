"""`python -m deploy.kubernetes.secrets`: the Secrets of the local overlay, as YAML for `kubectl apply -f -`; made once.

In production nothing of this exists: docs/containers.md says who keeps which secret.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from deploy.local.infrastructure.servers import SERVICES
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.pki.secrets import Secrets

SANDBOX_URL = "http://sandbox:8090"


def read_certificate(folder: Path, name: str) -> dict[str, str]:
    """As cert-manager writes it."""
    files = {"tls.crt": f"{name}.pem", "tls.key": f"{name}.key", "ca.crt": "ca.pem"}
    return {key: (folder / file).read_text() for key, file in files.items()}


def build_secrets(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The name of each Secret, and what it holds."""
    authority = CertificateAuthority(folder / "pki")
    authority.ensure_certificates()
    made = Secrets(MeshConfig({"DELIVERY_STATE": str(folder)}), SANDBOX_URL)
    files = {path.name: path.read_text() for path in (made.service_account, made.apns_key)}
    for name in SERVICES:
        yield f"{name}-pki", read_certificate(authority.folder, name)
        yield f"{name}-files", files
        yield (
            name,
            {
                "DATABASE_URL": f"postgresql://{name}:local@postgres/{name}",
                "BROKER_URL": "amqp://app:local@rabbitmq/delivery",
                "DOCUMENTS_URL": f"mongodb://mongo/{name}?directConnection=true",
                "ENCRYPTION_KEY": made.encryption_key,
                "DEMO_WEBHOOK_SECRET": made.webhook_secret,
            },
        )
    yield "gateway-edge", read_certificate(authority.folder, "edge")
    key = {made.signing_key.name: made.signing_key.read_text()}
    yield "sandbox-files", files | key | {"sandbox_webhook_secret": made.webhook_secret}


def main() -> None:
    """Writes to standard output."""
    folder = Path(os.environ.get("DELIVERY_STATE", ROOT / ".local/kubernetes"))
    folder.mkdir(parents=True, exist_ok=True)
    yaml.safe_dump_all(
        (
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
            for name, data in build_secrets(folder)
        ),
        sys.stdout,
    )


if __name__ == "__main__":
    main()
