"""OpenTelemetry resource of a process: the attributes that all of its spans and metrics share."""

import tomllib
import uuid
from functools import cache
from importlib import metadata

from opentelemetry.sdk.resources import Resource

from generated import mesh

_PROJECT_FILE = mesh.FOLDER.parent / "pyproject.toml"


@cache
def read_version() -> str:
    """Return the version of the installed distribution; in a source tree, the version in pyproject.toml."""
    try:
        return metadata.version(mesh.NAME)
    except metadata.PackageNotFoundError:
        version: str = tomllib.loads(_PROJECT_FILE.read_text(encoding="utf-8"))["project"]["version"]
        return version


@cache
def build_resource(service: str, environment: str) -> Resource:
    """Return the resource of this process. Its instance id is random, and the same in spans and metrics.

    OTEL_RESOURCE_ATTRIBUTES can add attributes.
    """
    return Resource.create(
        {
            "service.name": service,
            "service.namespace": mesh.NAME,
            "service.version": read_version(),
            "service.instance.id": str(uuid.uuid4()),
            "deployment.environment.name": environment,
        }
    )
