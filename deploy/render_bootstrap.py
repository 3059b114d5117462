"""`python -m deploy.render_bootstrap NAME FILE`: writes a sidecar's bootstrap, filled in from the environment.

Envoy reads no environment variables, so this runs before it, wherever it runs.
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
    """The placeholders of bootstraps, by name."""
    settings: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "envoy/mesh.yaml").read_text())["settings"]
    return settings


def default_value(entry: Mapping[str, Any], profile: str) -> str | None:
    """What a placeholder is when nobody says; None when somebody must."""
    value = entry.get("default")
    value = entry.get("development", value) if profile == "development" else value
    return None if value is None else str(value)


def production_errors(environment: Mapping[str, str]) -> Iterator[str]:
    """A line for each thing that keeps a sidecar from production."""
    if is_local_name(environment.get("FIREBASE_PROJECT_ID", "")):
        yield "FIREBASE_PROJECT_ID is a name for development"
    if any(is_emulated(origin) for origin in environment.get("ALLOWED_ORIGINS", "").split(",")):
        yield "ALLOWED_ORIGINS is for development"


def render_bootstrap(name: str, profile: str, environment: Mapping[str, str]) -> str:
    """The bootstrap of a sidecar in a profile. Raises KeyError with the name of a placeholder that nobody told."""
    values = {key: environment.get(key) or default_value(entry, profile) for key, entry in load_placeholders().items()}
    said = {key: value for key, value in values.items() if value is not None}
    if origins := said.get("ALLOWED_ORIGINS"):
        said["ALLOWED_ORIGINS"] = "|".join(map(re.escape, origins.split(",")))
    text = (BOOTSTRAPS_DIR / profile / f"{name}.yaml").read_text()
    return string.Template(re.sub(r"^#.*\n", "", text)).substitute(said)


def main() -> None:
    """Reads the command line and the environment."""
    profile = environ.get("ENVIRONMENT", "production")
    if profile == "production" and (wrong := [*production_errors(environ)]):
        sys.exit("\n  ".join(("the environment is wrong:", *wrong)))
    try:
        Path(sys.argv[2]).write_text(render_bootstrap(sys.argv[1], profile, environ))
    except KeyError as missing:
        sys.exit(f"the environment is wrong:\n  {missing.args[0]}: is missing")


if __name__ == "__main__":
    main()
