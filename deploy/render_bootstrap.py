"""`python -m deploy.render_bootstrap NAME FILE`: render a sidecar's bootstrap from environment variables.

Envoy does not expand environment variables, so this runs before Envoy in every environment.
"""

import re
import string
import sys
from collections.abc import Iterator, Mapping
from os import environ
from pathlib import Path
from typing import Any

import yaml

from services.runtime.config.production_checks import is_emulated, is_local_name

ROOT = Path(__file__).parents[1]
BOOTSTRAPS_DIR = ROOT / "generated/envoy"


def load_placeholders() -> dict[str, dict[str, Any]]:
    """Return the placeholders of the bootstraps from envoy/mesh.yaml, by name."""
    settings: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "envoy/mesh.yaml").read_text())["settings"]
    return settings


def get_default_value(entry: Mapping[str, Any], profile: str) -> str | None:
    """Return the default of a placeholder in a profile, or None if the environment must set it."""
    value = entry.get("default")
    value = entry.get("development", value) if profile == "development" else value
    return None if value is None else str(value)


def iter_production_errors(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield an error for each setting that is not allowed in production."""
    if is_local_name(environment.get("FIREBASE_PROJECT_ID", "")):
        yield "FIREBASE_PROJECT_ID is a development name"
    if any(is_emulated(origin) for origin in environment.get("ALLOWED_ORIGINS", "").split(",")):
        yield "ALLOWED_ORIGINS contains a development origin"


def render_bootstrap(name: str, profile: str, environment: Mapping[str, str]) -> str:
    """Return the bootstrap of a sidecar in a profile. Raises KeyError for a placeholder without a value."""
    values = {
        key: value
        for key, entry in load_placeholders().items()
        if (value := environment.get(key) or get_default_value(entry, profile)) is not None
    }
    if origins := values.get("ALLOWED_ORIGINS"):
        values["ALLOWED_ORIGINS"] = "|".join(map(re.escape, origins.split(",")))
    template = (BOOTSTRAPS_DIR / profile / f"{name}.yaml").read_text()
    return string.Template(re.sub(r"^#.*\n", "", template)).substitute(values)


def main() -> None:
    """Render the bootstrap named on the command line. Exits the process with an error for invalid settings."""
    profile = environ.get("ENVIRONMENT", "production")
    if profile == "production" and (errors := [*iter_production_errors(environ)]):
        sys.exit("\n  ".join(("invalid environment:", *errors)))
    try:
        Path(sys.argv[2]).write_text(render_bootstrap(sys.argv[1], profile, environ))
    except KeyError as missing:
        sys.exit(f"invalid environment:\n  {missing.args[0]}: is missing")


if __name__ == "__main__":
    main()
