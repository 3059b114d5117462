"""`python -m deploy.kubernetes.data_service_secrets`: print Secrets with new passwords for `kubectl create -f -`.

The Secrets are those to which the generated data services and the settings of their clients refer. Each run prints
other passwords; `kubectl create` does not replace existing ones.
"""

import json
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import yaml

from deploy.local.mesh_config import ROOT, SERVICES

CLIENTS_FOLDER = ROOT / "generated/kubernetes/data-service-clients"
DEFINITIONS_FILE = ROOT / "generated/rabbitmq/definitions.json"
PASSWORD_BYTES = 24
POSTGRESQL_LABELS = {"cnpg.io/reload": "true"}
"""Label with which CloudNativePG applies a changed password at once."""


def build_secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def build_basic_auth_secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    """Return the Secret of a role of PostgreSQL."""
    metadata = {"name": name, "labels": {**POSTGRESQL_LABELS}}
    return build_secret(name, data) | {"metadata": metadata, "type": "kubernetes.io/basic-auth"}


def list_password_references(service: str) -> dict[str, str]:
    """Return the name of the Secret by the variable of each password in the settings of a service."""
    patch = yaml.load((CLIENTS_FOLDER / f"{service}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    variables = [operation["value"] for operation in patch if operation["path"].endswith("/env/-")]
    return {each["name"]: each["valueFrom"]["secretKeyRef"]["name"] for each in variables if "valueFrom" in each}


def list_broker_users() -> list[str]:
    """Return the users of the permissions of the broker."""
    definitions = json.loads(DEFINITIONS_FILE.read_text(encoding="utf-8"))
    return [permission["user"] for permission in definitions["permissions"]]


def build_secrets() -> Iterator[dict[str, Any]]:
    """Yield the Secrets."""
    broker_passwords = {user: secrets.token_urlsafe(PASSWORD_BYTES) for user in list_broker_users()}
    for service in SERVICES:
        for variable, name in list_password_references(service).items():
            password = secrets.token_urlsafe(PASSWORD_BYTES)
            data = {"username": service, "password": password}
            if variable == "POSTGRESQL_PASSWORD":
                yield build_basic_auth_secret(name, data)
            elif variable == "CACHE_PASSWORD":
                yield build_secret(name, data | {"users": f"{service}:{password}\n"})
            elif variable != "RABBITMQ_PASSWORD":
                yield build_secret(name, data)
    for user, password in broker_passwords.items():
        yield build_secret(f"{user}-rabbitmq", {"username": user, "password": password})
    users = [{"name": user, "password": password, "tags": ""} for user, password in broker_passwords.items()]
    yield build_secret("rabbitmq-users", {"users.json": json.dumps({"users": users})})


def main() -> None:
    """Print the Secrets to standard output."""
    yaml.safe_dump_all(build_secrets(), sys.stdout)


if __name__ == "__main__":
    main()
