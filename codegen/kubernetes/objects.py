"""Common parts of Kubernetes objects: metadata, labels and volumes."""

from typing import Any

from codegen.envoy.common import Config

PART_OF_LABEL = {"app.kubernetes.io/part-of": "delivery"}


def build_labels(name: str) -> dict[str, str]:
    """Return the labels of a service's pods, which selectors match."""
    return {"app.kubernetes.io/name": name, **PART_OF_LABEL}


def build_object(api_version: str, kind: str, name: str, app_name: str, **rest: Any) -> Config:
    """Return an object with its metadata."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "labels": build_labels(app_name)},
        **rest,
    }


def build_certificate_volume(secret_name: str, name: str) -> Config:
    """Return the volume of a cert-manager Secret with the file names of the Envoy bootstraps."""
    files = {"tls.crt": f"{name}.pem", "tls.key": f"{name}.key"} | ({} if name == "edge" else {"ca.crt": "ca.pem"})
    return {"secretName": secret_name, "items": [{"key": key, "path": path} for key, path in files.items()]}
