"""Common parts of Kubernetes objects: metadata, labels and volumes."""

from collections.abc import Iterable
from typing import Any

from codegen.envoy.common import Config
from codegen.mesh import PLACEHOLDER, insert_name
from codegen.yaml_output import dump_yaml

LINE_WIDTH = 10_000
"""Wide enough for one PromQL expression per line."""

PART_OF_LABEL = {"app.kubernetes.io/part-of": PLACEHOLDER}
DEPLOYMENT_LABELS = {"app.kubernetes.io/instance": PLACEHOLDER, "app.kubernetes.io/managed-by": "kustomize"}
"""Labels of the deployment. An overlay replaces the instance, so that two of them in one cluster differ."""


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


def build_kustomization(**rest: Any) -> Config:
    """Return a kustomization."""
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **rest}


def add_recommended_labels(objects: Iterable[Config], component: str, version: str) -> list[Config]:
    """Return the objects with the recommended labels that selectors do not match, on their pod templates too."""
    labels = {"app.kubernetes.io/component": component, "app.kubernetes.io/version": version, **DEPLOYMENT_LABELS}

    def add_labels(labelled: Config) -> Config:
        metadata = labelled["metadata"]
        return {**labelled, "metadata": {**metadata, "labels": {**metadata["labels"], **labels}}}

    def add_template_labels(each: Config) -> Config:
        template = each.get("spec", {}).get("template")
        return {**each, "spec": {**each["spec"], "template": add_labels(template)}} if template else each

    return [add_template_labels(add_labels(each)) for each in objects]


def build_certificate_volume(secret_name: str, name: str) -> Config:
    """Return the volume of a cert-manager Secret with the file names of the Envoy bootstraps."""
    files = {"tls.crt": f"{name}.pem", "tls.key": f"{name}.key"} | ({} if name == "edge" else {"ca.crt": "ca.pem"})
    return {"secretName": secret_name, "items": [{"key": key, "path": path} for key, path in files.items()]}


def render_objects(header: str, mesh_name: str, *objects: Config) -> str:
    """Return the objects as YAML below a header comment, with the name of the mesh."""
    return dump_yaml(header, *(insert_name(each, mesh_name) for each in objects), width=LINE_WIDTH)
