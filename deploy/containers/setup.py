"""`python -m deploy.containers.setup`: certificates, bootstraps and secrets, for containers on one machine.

What was made stays as it is, and every file is whole at every moment: engines run this again whenever they like.

Each sidecar has a volume of its own, which it shares with its service: sockets, its bootstrap, its certificate, and
nobody else's key.
"""

from os import environ
from pathlib import Path

from deploy.bootstrap import fill
from deploy.local.pki import Authority
from deploy.local.secrets import Secrets, write_private
from deploy.local.state import State

VOLUMES = Path("/var/lib/delivery")
SECRETS = Path("/run/secrets")
RUN = "/run/delivery"
"""Where a sidecar and its service have their volume."""


def certificates(authority: Authority, name: str, to: Path) -> None:
    """What one sidecar needs of the authority."""
    to.mkdir(mode=0o700, exist_ok=True)
    names = [name, *(["edge"] if name == "gateway" else [])]
    for file in ("ca.pem", *(f"{each}.{kind}" for each in names for kind in ("pem", "key"))):
        write_private(to / file, (authority.folder / file).read_text())


def main() -> None:
    """Into the volumes that docker-compose.yml mounts here."""
    authority = Authority(VOLUMES / "authority")
    authority.ensure()
    for name in authority.sidecars:
        certificates(authority, name, VOLUMES / name / "pki")
        told = {**environ, "RUN_DIR": RUN, "PKI_DIR": f"{RUN}/pki", "EDGE_PKI_DIR": f"{RUN}/pki"}
        write_private(VOLUMES / name / "envoy.yaml", fill(name, "development", told))
    secrets = Secrets(State({"DELIVERY_STATE": str(VOLUMES / "authority")}), environ["SANDBOX_URL"])
    for path in (secrets.service_account, secrets.apns_key, secrets.signing_key):
        write_private(SECRETS / path.name, path.read_text())
    for name, value in {
        "encryption_key": secrets.encryption_key,
        "demo_webhook_secret": secrets.webhook_secret,
        "sandbox_webhook_secret": secrets.webhook_secret,
    }.items():
        write_private(SECRETS / name, value)


if __name__ == "__main__":
    main()
