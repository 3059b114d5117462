"""`python -m deploy.kubernetes.check`: check the pods of every overlay; one line per finding.

kubernetes-validate checks the objects against Kubernetes' schema, and `custom_resources` checks the custom resources.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from deploy.containers.check import ENVOY_IMAGE_PREFIX, OWN_IMAGE_PREFIXES
from deploy.kubernetes import custom_resources
from deploy.local.mesh_config import ROOT

OVERLAYS = ("local", "production", "production/data-services", "production/migrations")
POD_OWNERS = ("Deployment", "Job", "StatefulSet")
RECOMMENDED_LABELS = tuple(
    f"app.kubernetes.io/{name}" for name in ("name", "instance", "version", "component", "part-of", "managed-by")
)


def render_overlay(overlay: Path) -> str:
    """Return the manifests of an overlay as YAML. Raises CalledProcessError."""
    kubectl = str(Path(sys.executable).with_name("kubectl"))
    return subprocess.run(
        [kubectl, "kustomize", str(overlay)], check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout


def build_overlay(overlay: Path) -> list[dict[str, Any]]:
    """Return the objects of an overlay. Raises CalledProcessError."""
    return list(yaml.load_all(render_overlay(overlay), Loader=yaml.CSafeLoader))


def check_objects(objects: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the findings about the objects of an overlay."""
    yield from custom_resources.validate(filter(custom_resources.is_custom_resource, objects))
    for each in objects:
        name = f"{each['kind']} {each['metadata']['name']}"
        if not custom_resources.is_custom_resource(each):
            try:
                kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}: {error.message}"
        yield from (f"{name}: {finding}" for finding in _check_labels(each["metadata"]))
        if each["kind"] in POD_OWNERS:
            template = each["spec"]["template"]
            yield from (f"{name}: pod: {finding}" for finding in _check_labels(template["metadata"]))
            yield from (f"{name}: {finding}" for finding in _check_pod(template["spec"], each["kind"]))


def _check_labels(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"no label {name}" for name in RECOMMENDED_LABELS if name not in metadata.get("labels", {}))


def _check_pod(spec: Mapping[str, Any], kind: str) -> Iterator[str]:
    init_containers = [(container, False) for container in spec.get("initContainers", [])]
    containers = [(container, kind == "Deployment") for container in spec["containers"]]
    for container, is_long_running in [*init_containers, *containers]:
        name, image = container["name"], container["image"]
        if "@sha256:" not in image and image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
            yield f"{name} has an image without a version"
        resources = container.get("resources", {})
        if "memory" not in resources.get("limits", {}):
            yield f"{name} has no limits"
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
            yield f"{name} has no requests"
        if any(part in image for part in OWN_IMAGE_PREFIXES):
            yield from _check_hardening(container, spec)
            if is_long_running and "delivery/local" not in image:
                yield from _check_lifecycle(container)


def _check_hardening(container: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    name, context = container["name"], container.get("securityContext", {})
    effective = spec.get("securityContext", {}) | context
    if effective.get("runAsNonRoot") is not True or effective.get("runAsUser") == 0:
        yield f"{name} may run as root"
    if context.get("readOnlyRootFilesystem") is not True:
        yield f"{name} has a writable root file system"
    if context.get("capabilities", {}).get("drop") != ["ALL"] or context.get("allowPrivilegeEscalation") is not False:
        yield f"{name} has capabilities or privilege escalation"


def _check_lifecycle(container: Mapping[str, Any]) -> Iterator[str]:
    name = container["name"]
    startup_probe = () if ENVOY_IMAGE_PREFIX in container["image"] else ("startupProbe",)
    for probe in ("livenessProbe", "readinessProbe", *startup_probe):
        if probe not in container:
            yield f"{name} has no {probe}"
    if "preStop" not in container.get("lifecycle", {}):
        yield f"{name} has no preStop hook"


def main() -> int:
    """Print the findings to standard error. Return 1 if there are findings, else 0."""
    objects = {overlay: build_overlay(ROOT / "deploy/kubernetes" / overlay) for overlay in OVERLAYS}
    findings = [f"{overlay}: {finding}" for overlay in OVERLAYS for finding in check_objects(objects[overlay])]
    findings += custom_resources.find_unknown_fields(each for overlay in OVERLAYS for each in objects[overlay])
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
