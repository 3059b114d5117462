"""`python -m deploy.kubernetes.secrets`: print the Secrets of the local overlay as YAML for `kubectl apply -f -`.

The secrets are created on the first run and reused. Production uses none of them: see docs/kubernetes.md.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from deploy.local.mesh_config import ROOT, SERVICES, MeshConfig
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.pki.secrets import Secrets

SANDBOX_URL = "http://sandbox:8090"


def read_certificate(folder: Path, name: str) -> dict[str, str]:
    """Return a certificate's Secret data with the keys that cert-manager uses."""
    files = {"tls.crt": f"{name}.pem", "tls.key": f"{name}.key", "ca.crt": "ca.pem"}
    return {key: (folder / file).read_text(encoding="utf-8") for key, file in files.items()}


def build_secrets(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name and the data of each Secret."""
    authority = CertificateAuthority(folder / "pki")
    authority.ensure_certificates()
    secrets = Secrets(MeshConfig({"DELIVERY_STATE": str(folder)}), SANDBOX_URL)
    files = {path.name: path.read_text(encoding="utf-8") for path in (secrets.service_account, secrets.apns_key)}
    for name in SERVICES:
        yield f"{name}-pki", read_certificate(authority.folder, name)
        yield f"{name}-files", files
        yield (
            name,
            {
                "DATABASE_URL": f"postgresql://{name}:local@postgres/{name}",
                "BROKER_URL": f"amqp://{name}:local@rabbitmq/delivery",
                "DOCUMENTS_URL": f"mongodb://{name}:local@mongo/{name}",
                "ENCRYPTION_KEY": secrets.encryption_key,
                "DEMO_WEBHOOK_SECRET": secrets.webhook_secret,
                **({"CACHE_PASSWORD": "local"} if name == "gateway" else {}),
            },
        )
    yield "gateway-edge", read_certificate(authority.folder, "edge")
    key = {secrets.signing_key.name: secrets.signing_key.read_text(encoding="utf-8")}
    yield "sandbox-files", files | key | {"sandbox_webhook_secret": secrets.webhook_secret}


def main() -> None:
    """Print the Secrets to standard output."""
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
