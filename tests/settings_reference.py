"""`python -m tests.settings_reference`: write docs/settings.md from the settings classes and envoy/mesh.yaml."""

import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from deploy.local.mesh_config import LOCAL_PORTS
from deploy.trace_viewer.__main__ import Settings as TraceViewerSettings
from services.runtime.config.production_checks import EMULATED
from services.runtime.config.settings import DemoSettings, ServiceSettings
from services.sandbox.settings import SandboxSettings
from tests.conftest import ROOT
from tests.service_settings import SETTINGS

PAGE = ROOT / "docs/settings.md"
FIX_COMMAND = ".venv/bin/python -m tests.settings_reference"
MAX_LINE_LENGTH = 100

INTRODUCTION = f"""\
This page lists the environment variables of all processes. `{FIX_COMMAND}` derives it from the settings classes, \
`envoy/mesh.yaml` and the ports of the local mesh; a test fails when it is out of date.

A process validates its settings at startup. If they are invalid, it exits and names each variable, without values. \
Lists are comma-separated. A variable without a default is required. In production, variables that are marked as \
development only must have their defaults."""

COMMON_VARIABLES = """\
The libraries of the services read these variables:

| variable | description |
| --- | --- |
| `SECRETS_DIR` | folder with one file per setting, for settings that the environment does not define |
| `OTEL_EXPORTER_OTLP_ENDPOINT` | OTLP endpoint for spans; without it no spans are exported |
| `OTEL_…` | other variables of the OpenTelemetry SDK |
| `FIREBASE_AUTH_EMULATOR_HOST` | host and port of the sandbox, for the gateway; development only |
| `DRAIN_WAIT_S` | seconds that `deploy.drain` waits after it has drained a sidecar; 10 by default |"""

DEVELOPMENT_PROCESSES: dict[str, type[BaseSettings]] = {
    "Command demo-data": DemoSettings,
    "Sandbox": SandboxSettings,
    "Trace viewer": TraceViewerSettings,
}

_TYPE_NAMES = {str: "text", int: "integer", float: "number", bool: "boolean", Path: "path", SecretStr: "secret"}
_BOUNDS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))


def render_page() -> str:
    """Return the page."""
    common_names = ServiceSettings.model_fields.keys()
    parts = ["# Settings", INTRODUCTION, "## All services", settings_table(ServiceSettings.model_fields)]
    parts.append(COMMON_VARIABLES)
    for name, settings in SETTINGS.items():
        own_fields = {field: each for field, each in settings.model_fields.items() if field not in common_names}
        parts += [f"## {name.title()}", settings_table(own_fields)]
    parts += ["## Sidecars", "Placeholders of the Envoy bootstraps.", sidecars_table()]
    for title, settings in DEVELOPMENT_PROCESSES.items():
        parts += [f"## {title}", settings_table(settings.model_fields)]
    parts += [
        "## Local mesh",
        "Variables of `make up` and of the other commands of the local mesh.",
        local_mesh_table(),
    ]
    return "\n\n".join(map(_wrap, parts)) + "\n"


def settings_table(fields: Mapping[str, FieldInfo]) -> str:
    """Return the table of the fields of a settings class."""
    return _table(
        ("variable", "type", "default", "description"),
        (
            (f"`{name.upper()}`", describe_type(field), describe_default(field), describe_purpose(field))
            for name, field in fields.items()
        ),
    )


def sidecars_table() -> str:
    """Return the table of the placeholders in envoy/mesh.yaml."""
    placeholders: dict[str, dict[str, Any]] = yaml.load(
        (ROOT / "envoy/mesh.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )["settings"]
    return _table(
        ("variable", "default", "default in development", "description"),
        (
            (
                f"`{name}`",
                _code(entry.get("default")) or "required",
                _code(entry.get("development", entry.get("default"))) or "required",
                str(entry["about"]),
            )
            for name, entry in placeholders.items()
        ),
    )


def local_mesh_table() -> str:
    """Return the table of the variables of the local mesh."""
    folders = [
        (
            "`DELIVERY_STATE`",
            "`.local`",
            "folder of the mesh's data, sockets and logs; a path without quotes, colons and backslashes",
        ),
        ("`PORT_OFFSET`", "`0`", "number that is added to every default port"),
        (
            "`MONGODB_URL`",
            "–",
            "URL of an existing MongoDB, with `{service}` for user or database; replaces the local `mongod`",
        ),
        (
            "`PYTHON`",
            "–",
            "path or name of the interpreter, Python 3.13; without it, that of the present virtual environment is used",
        ),
    ]
    ports = ((f"`{name}`", f"`{number}`", f"port of {what}") for name, (number, what) in LOCAL_PORTS.items())
    return _table(("variable", "default", "description"), [*folders, *ports])


def describe_type(field: FieldInfo) -> str:
    """Return the type of a field with its bounds, such as "number, > 0, ≤ 30"."""
    bounds = [
        f"{symbol} {getattr(item, attribute):g}"
        for item in field.metadata
        for bound, attribute, symbol in _BOUNDS
        if isinstance(item, bound)
    ]
    return ", ".join((_type_name(field.annotation), *bounds))


def describe_default(field: FieldInfo) -> str:
    """Return the default of a field, "required" without one."""
    if field.is_required():
        return "required"
    return _code(field.get_default(call_default_factory=True)) or "–"


def describe_purpose(field: FieldInfo) -> str:
    """Return the description of a field, marked if production requires the default."""
    description = field.description or "–"
    return f"{description}; development only" if field.json_schema_extra == EMULATED else description


def _type_name(annotation: Any) -> str:
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if get_origin(annotation) is tuple:
        return f"list of {_type_name(arguments[0])}s" if _type_name(arguments[0]) == "number" else "list"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{each.value}`" for each in annotation)
    return _TYPE_NAMES[annotation] if annotation in _TYPE_NAMES else _type_name(arguments[0])


def _code(value: Any) -> str:
    """Return a default as inline code in the form that the environment has; empty for no value."""
    match value:
        case None | "" | ():
            return ""
        case bool():
            text = str(value).lower()
        case float():
            text = f"{value:g}"
        case tuple():
            text = ",".join(f"{each:g}" if isinstance(each, float | int) else str(each) for each in value)
        case Path():
            text = str(value.relative_to(ROOT) if value.is_relative_to(ROOT) else value)
        case _:
            text = str(value)
    return f"`{text}`"


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    lines = (header, ("---",) * len(header), *rows)
    return "\n".join(f"| {' | '.join(cell.replace('|', '\\|') for cell in line)} |" for line in lines)


def _wrap(part: str) -> str:
    paragraphs = part.split("\n\n")
    return "\n\n".join(
        each if each.startswith(("|", "#")) else textwrap.fill(each, MAX_LINE_LENGTH, break_on_hyphens=False)
        for each in paragraphs
    )


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")
