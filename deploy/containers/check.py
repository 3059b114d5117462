"""`python -m deploy.containers.check`: what every container of ours must be, wherever it runs; a line per fault.

Nobody's root, a root file system that nothing is written to, no capability, an image with a version, and something that
tells whether it lives. The Dockerfile is hadolint's to judge.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.local.mesh_config import ROOT

OWN_IMAGE_PREFIXES = ("delivery/", "envoyproxy/")
"""Images that services and sidecars run from; what they stand on is others' to harden."""

ENVOY_IMAGE_PREFIX = "envoyproxy/"
"""Whose image says neither who runs it nor how it is; ours do, in the Dockerfile."""

ONE_SHOT_SUFFIXES = ("setup", "-demo")
"""What ends by itself needs nothing that says whether it lives."""


def check_dockerfile(path: Path) -> Iterator[str]:
    """What hadolint says, and what it does not: the last user, and the health check."""
    said = subprocess.run(["hadolint", "--no-color", str(path)], check=False, capture_output=True, text=True)
    yield from (f"Dockerfile: {line.rpartition('/')[2]}" for line in said.stdout.splitlines())
    stages = path.read_text().split("\nFROM ")
    for stage in stages:
        name = stage.splitlines()[0].rpartition(" AS ")[2]
        users = [line.split()[1] for line in stage.splitlines() if line.startswith("USER ")]
        if name in ("service", "local") and (not users or users[-1].split(":")[0] in ("0", "root")):
            yield f"Dockerfile: {name} ends as root"
        if name == "service" and "\nHEALTHCHECK " not in stage:
            yield "Dockerfile: service has no HEALTHCHECK"


def check_compose(document: Mapping[str, Any]) -> Iterator[str]:
    """The faults of docker-compose.yml."""
    for name, service in document["services"].items():
        image = service["image"]
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"compose: {name} publishes {port} beyond this machine"
        if not image.startswith(OWN_IMAGE_PREFIXES):
            if image.rpartition(":")[2] in (image, "latest"):
                yield f"compose: {name} has an image without a version"
            continue
        foreign = image.startswith(ENVOY_IMAGE_PREFIX)
        if str(service.get("user") or ("root" if foreign else "")).split(":")[0] in ("0", "root"):
            yield f"compose: {name} is root"
        if service.get("read_only") is not True:
            yield f"compose: {name} can write to its root file system"
        if service.get("cap_drop") != ["ALL"]:
            yield f"compose: {name} has capabilities"
        asked = service.get("healthcheck", {})
        off = asked.get("disable") or asked.get("test", ["CMD"])[0] == "NONE" or (foreign and "test" not in asked)
        if off and not name.endswith(ONE_SHOT_SUFFIXES):
            yield f"compose: {name} has no health check"


def main() -> int:
    """0 when there is no fault."""
    faults = [
        *check_dockerfile(ROOT / "deploy/containers/Dockerfile"),
        *check_compose(yaml.safe_load((ROOT / "docker-compose.yml").read_text())),
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
