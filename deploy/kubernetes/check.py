"""`python -m deploy.kubernetes.check`: check the pods of every overlay; one line per finding.

kubernetes-validate checks the objects against Kubernetes' schema.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from deploy.containers.check import ENVOY_IMAGE_PREFIX, OWN_IMAGE_PREFIXES
from deploy.local.mesh_config import ROOT

OVERLAYS = ("local", "production", "production/migrations")
CUSTOM_RESOURCE_GROUPS = ("cert-manager.io/",)
"""API groups of custom resources, which Kubernetes' schema does not cover."""


def build_overlay(overlay: Path) -> list[dict[str, Any]]:
    """Return the objects of an overlay. Raises CalledProcessError."""
    kubectl = str(Path(sys.executable).with_name("kubectl"))
    result = subprocess.run([kubectl, "kustomize", str(overlay)], check=True, capture_output=True, text=True)
    return list(yaml.load_all(result.stdout, Loader=yaml.CSafeLoader))


def check_objects(objects: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the findings about the objects of an overlay."""
    for each in objects:
        name = f"{each['kind']} {each['metadata']['name']}"
        if not each["apiVersion"].startswith(CUSTOM_RESOURCE_GROUPS):
            try:
                kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}: {error.message}"
        if each["kind"] in ("Deployment", "Job"):
            yield from (f"{name}: {finding}" for finding in _check_pod(each["spec"]["template"]["spec"], each["kind"]))


def _check_pod(spec: Mapping[str, Any], kind: str) -> Iterator[str]:
    init_containers = [(container, False) for container in spec.get("initContainers", [])]
    containers = [(container, kind == "Deployment") for container in spec["containers"]]
    for container, is_long_running in [*init_containers, *containers]:
        name, image = container["name"], container["image"].rpartition("@")[0] or container["image"]
        if image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
            yield f"{name} has an image without a version"
        if not any(part in image for part in OWN_IMAGE_PREFIXES):
            continue
        context = container.get("securityContext", {})
        effective = spec.get("securityContext", {}) | context
        if effective.get("runAsNonRoot") is not True or effective.get("runAsUser") == 0:
            yield f"{name} may run as root"
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{name} has a writable root file system"
        if (
            context.get("capabilities", {}).get("drop") != ["ALL"]
            or context.get("allowPrivilegeEscalation") is not False
        ):
            yield f"{name} has capabilities or privilege escalation"
        if is_long_running and "delivery/local" not in image:
            startup_probe = () if ENVOY_IMAGE_PREFIX in image else ("startupProbe",)
            for probe in ("livenessProbe", "readinessProbe", *startup_probe):
                if probe not in container:
                    yield f"{name} has no {probe}"
            if "preStop" not in container.get("lifecycle", {}):
                yield f"{name} has no preStop hook"
            for resource in ("limits", "requests"):
                if resource not in container.get("resources", {}):
                    yield f"{name} has no {resource}"


def main() -> int:
    """Print the findings to standard error. Return 1 if there are findings, else 0."""
    findings = [
        f"{overlay}: {finding}"
        for overlay in OVERLAYS
        for finding in check_objects(build_overlay(ROOT / "deploy/kubernetes" / overlay))
    ]
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
