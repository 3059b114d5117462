"""`python -m deploy.kubernetes.check`: what every pod of ours must be, in each overlay; a line per fault.

Kubernetes' own schema is kubernetes-validate's to judge.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from deploy.containers.check import ENVOY_IMAGE_PREFIX as FOREIGN_IMAGE
from deploy.containers.check import OWN_IMAGE_PREFIXES
from deploy.local.mesh_config import ROOT

OVERLAYS = ("local", "production", "production/migrations")
CUSTOM_RESOURCE_GROUPS = ("cert-manager.io/",)
"""APIs that a cluster has only when somebody adds them; their schema is not Kubernetes' own."""


def build_overlay(overlay: Path) -> list[dict[str, Any]]:
    """The objects of an overlay. Raises CalledProcessError."""
    kubectl = str(Path(sys.executable).with_name("kubectl"))
    made = subprocess.run([kubectl, "kustomize", str(overlay)], check=True, capture_output=True, text=True)
    return list(yaml.load_all(made.stdout, Loader=yaml.CSafeLoader))


def check_objects(objects: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with the objects of an overlay."""
    for each in objects:
        name = f"{each['kind']} {each['metadata']['name']}"
        if not each["apiVersion"].startswith(CUSTOM_RESOURCE_GROUPS):
            try:
                kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}: {error.message}"
        if each["kind"] in ("Deployment", "Job"):
            yield from (f"{name}: {fault}" for fault in _check_pod(each["spec"]["template"]["spec"], each["kind"]))


def _check_pod(spec: Mapping[str, Any], kind: str) -> Iterator[str]:
    waiting = [(container, False) for container in spec.get("initContainers", [])]
    for container, lasting in [*waiting, *((container, kind == "Deployment") for container in spec["containers"])]:
        name, image = container["name"], container["image"].rpartition("@")[0] or container["image"]
        if image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
            yield f"{name} has an image without a version"
        if not any(part in image for part in OWN_IMAGE_PREFIXES):
            continue
        own, whole = container.get("securityContext", {}), spec.get("securityContext", {})
        if (whole | own).get("runAsNonRoot") is not True or (whole | own).get("runAsUser") == 0:
            yield f"{name} may be root"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{name} can write to its root file system"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("allowPrivilegeEscalation") is not False:
            yield f"{name} has capabilities, or may get some"
        if lasting and "delivery/local" not in image:
            foreign = FOREIGN_IMAGE in image
            for needed in ("livenessProbe", "readinessProbe", *(() if foreign else ("startupProbe",))):
                if needed not in container:
                    yield f"{name} has no {needed}"
            if "preStop" not in container.get("lifecycle", {}):
                yield f"{name} is not told to drain"
            for bound in ("limits", "requests"):
                if bound not in container.get("resources", {}):
                    yield f"{name} has no {bound}"


def main() -> int:
    """0 when there is no fault."""
    found = [
        f"{overlay}: {fault}"
        for overlay in OVERLAYS
        for fault in check_objects(build_overlay(ROOT / "deploy/kubernetes" / overlay))
    ]
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
