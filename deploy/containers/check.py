"""`python -m deploy.containers.check`: security checks of the Dockerfile and docker-compose.yml; one line per finding.

Containers run as a non-root user with a read-only root file system and no capabilities. Images have a version, Docker
Official Images also a digest, and long-running containers have a health check. hadolint checks the Dockerfile. The
services run on the Docker Official Image of Python.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.local.mesh_config import ROOT

HADOLINT = str(Path(sys.executable).with_name("hadolint"))
OWN_IMAGE_PREFIXES = ("delivery/", "envoyproxy/")
"""Images of the services and sidecars. Third-party servers are exempt from the hardening checks."""

ENVOY_IMAGE_PREFIX = "envoyproxy/"
"""Image that defines neither a user nor a health check; the images of the Dockerfile define both."""

INTERPRETER_IMAGE_PREFIX = "python:3.13."
"""Docker Official Image, whose interpreter is built with PGO and LTO; see docs/decisions/0034."""

INTERPRETER_STAGES = ("packages", "local-packages", "service", "local")
"""Stages whose interpreter runs the services, or creates their virtual environment."""

ONE_SHOT_SUFFIXES = ("setup", "-demo")
"""Name suffixes of containers that run to completion and need no health check."""


def check_dockerfile(path: Path) -> Iterator[str]:
    """Yield hadolint's findings, and violations by base images, users and health checks."""
    result = subprocess.run(
        [HADOLINT, "--no-color", str(path)], check=False, capture_output=True, text=True, encoding="utf-8"
    )
    yield from (f"Dockerfile: {line.rpartition('/')[2]}" for line in result.stdout.splitlines())
    stages = path.read_text(encoding="utf-8").split("\nFROM ")
    bases: dict[str, str] = {}
    for stage in stages:
        base, _, name = stage.splitlines()[0].rpartition(" AS ")
        bases[name] = bases.get(base, base)
        if ":" in base and "@sha256:" not in base:
            yield f"Dockerfile: {name} has a base image without a digest"
        users = [line.split()[1] for line in stage.splitlines() if line.startswith("USER ")]
        if name in ("service", "local") and (not users or users[-1].split(":")[0] in ("0", "root")):
            yield f"Dockerfile: {name} runs as root"
        if name == "service" and "\nHEALTHCHECK " not in stage:
            yield "Dockerfile: service has no HEALTHCHECK"
        if name in INTERPRETER_STAGES and not bases[name].startswith(INTERPRETER_IMAGE_PREFIX):
            yield f"Dockerfile: {name} is not based on {INTERPRETER_IMAGE_PREFIX}x, which is built with PGO and LTO"


def check_compose(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the findings of docker-compose.yml."""
    for name, service in document["services"].items():
        image = service["image"]
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"compose: {name} publishes {port} on a non-loopback address"
        if not image.startswith(OWN_IMAGE_PREFIXES):
            reference, _, digest = image.partition("@")
            if reference.rpartition(":")[2] in (reference, "latest"):
                yield f"compose: {name} has an image without a version"
            elif "/" not in reference and not digest:
                yield f"compose: {name} has a Docker Official Image without a digest"
            continue
        is_envoy = image.startswith(ENVOY_IMAGE_PREFIX)
        if str(service.get("user") or ("root" if is_envoy else "")).split(":")[0] in ("0", "root"):
            yield f"compose: {name} runs as root"
        if service.get("read_only") is not True:
            yield f"compose: {name} has a writable root file system"
        if service.get("cap_drop") != ["ALL"]:
            yield f"compose: {name} has capabilities"
        check = service.get("healthcheck", {})
        is_disabled = check.get("disable") or check.get("test", ["CMD"])[0] == "NONE"
        if (is_disabled or (is_envoy and "test" not in check)) and not name.endswith(ONE_SHOT_SUFFIXES):
            yield f"compose: {name} has no health check"


def main() -> int:
    """Print the findings to standard error. Return 1 if there are findings, else 0."""
    findings = [
        *check_dockerfile(ROOT / "deploy/containers/Dockerfile"),
        *check_compose(yaml.load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)),
    ]
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
