"""`python -m deploy.render_bootstrap NAME FILE`: render a sidecar's bootstrap from environment variables.

Envoy does not expand environment variables, so this runs before Envoy in every environment. The files of the secrets
that the bootstrap refers to are written beside it; both belong into the folder RUN_DIR.
"""

import json
import re
import string
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from os import environ
from pathlib import Path
from typing import Any

import yaml

from services.runtime.config.origins import ORIGINS_ERROR, is_origin_list
from services.runtime.config.production_checks import is_emulated, is_local_name

ROOT = Path(__file__).parents[1]
BOOTSTRAPS_DIR = ROOT / "generated/envoy"
MAX_PORT = 65535
PORT_ERROR = f"{{name}}: is not a port from 1 to {MAX_PORT}"
PERCENTAGE_PATTERN = re.compile(r"100(\.0+)?|\d{1,2}(\.\d+)?", re.ASCII)
FORBIDDEN_CHARACTERS_PATTERN = re.compile(r"[\"'`\\\x00-\x1f\x7f]")
"""Characters that the configuration files of Envoy and of the servers would have to quote."""

HOPS_PATTERN = re.compile(r"\d|10", re.ASCII)
FACTOR_PATTERN = re.compile(r"[1-9]\d{0,4}", re.ASCII)
SECONDS_PATTERN = re.compile(r"\d{1,10}", re.ASCII)
HOST_NAME_PATTERN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
PRODUCT_PATTERN = re.compile(r"\$\{RATE_LIMIT_FACTOR\}\*(\d+)")

SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 (a message name)
SECRET_FILE_PATTERN = re.compile(r"\$\{RUN_DIR\}/((\w+)-sds\.json)")


def load_mesh() -> dict[str, Any]:
    """Return the content of envoy/mesh.yaml."""
    mesh: dict[str, Any] = yaml.load((ROOT / "envoy/mesh.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return mesh


def load_placeholders() -> dict[str, dict[str, Any]]:
    """Return the placeholders of the bootstraps from envoy/mesh.yaml, by name."""
    settings: dict[str, dict[str, Any]] = load_mesh()["settings"]
    return settings


def get_default_value(entry: Mapping[str, Any], profile: str) -> str | None:
    """Return the default of a placeholder in a profile, or None if the environment must set it."""
    value = entry.get("default")
    value = entry.get("development", value) if profile == "development" else value
    return None if value is None else str(value)


def is_port(value: str) -> bool:
    """Return whether a value is the number of a port."""
    return re.fullmatch(r"\d{1,5}", value, re.ASCII) is not None and 1 <= int(value) <= MAX_PORT


def is_ip_address(value: str) -> bool:
    """Return whether a value is an IP address of version 4 or 6."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def iter_value_errors(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield an error for each setting with an invalid value; no error contains the value."""
    for name, entry in load_placeholders().items():
        value = environment.get(name)
        if not value:
            continue
        if entry.get("port") and not is_port(value):
            yield PORT_ERROR.format(name=name)
        elif name.endswith("BIND") and not is_ip_address(value):
            yield f"{name}: is not an IP address"
        elif name.endswith("_PERCENT") and not PERCENTAGE_PATTERN.fullmatch(value):
            yield f"{name}: is not a percentage from 0 to 100"
        elif name == "TRUSTED_HOPS" and not HOPS_PATTERN.fullmatch(value):
            yield f"{name}: is not a number from 0 to 10"
        elif name == "RATE_LIMIT_FACTOR" and not FACTOR_PATTERN.fullmatch(value):
            yield f"{name}: is not a number from 1 to 99999"
        elif name == "HSTS_MAX_AGE_S" and not SECONDS_PATTERN.fullmatch(value):
            yield f"{name}: is not a number of seconds"
        elif name == "ALLOWED_ORIGINS" and not is_origin_list(value):
            yield f"{name}: {ORIGINS_ERROR}"
        elif name.endswith("_HOST") and not (HOST_NAME_PATTERN.fullmatch(value) or is_ip_address(value)):
            yield f"{name}: is not a host name or an IP address"
        elif FORBIDDEN_CHARACTERS_PATTERN.search(value):
            yield f"{name}: contains a quote, a backslash or a control character"


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
    factor = int(values["RATE_LIMIT_FACTOR"])
    products = PRODUCT_PATTERN.sub(lambda match: str(factor * int(match[1])), _read_template(name, profile))
    return string.Template(products).substitute({key: _encode_content(value) for key, value in values.items()})


def render_secrets(name: str, profile: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the SDS files of a sidecar, by file name in the folder RUN_DIR.

    A file contains one secret with the paths of its PEM files. Envoy reads these again when a file in their folder is
    replaced, or the symbolic link of a Kubernetes volume. Raises KeyError if a folder is missing in the environment.
    """
    return {
        file: json.dumps({"resources": [_build_secret(secret, environment)]})
        for file, secret in sorted(set(SECRET_FILE_PATTERN.findall(_read_template(name, profile))))
    }


def _encode_content(value: str) -> str:
    """Return a text as the content of a JSON string."""
    return json.dumps(value)[1:-1]


def _read_template(name: str, profile: str) -> str:
    return (BOOTSTRAPS_DIR / profile / f"{name}.json").read_text(encoding="utf-8")


def _build_secret(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    folder = environment["EDGE_PKI_DIR" if name == "edge" else "PKI_DIR"]
    watched = {"watched_directory": {"path": folder}}
    certificate = {"filename": f"{folder}/{name}.pem"}
    if name == "ca":
        return {"@type": SECRET_TYPE, "name": name, "validation_context": {"trusted_ca": certificate, **watched}}
    key = {"filename": f"{folder}/{name}.key"}
    content = {"certificate_chain": certificate, "private_key": key, **watched}
    return {"@type": SECRET_TYPE, "name": name, "tls_certificate": content}


def write_bootstrap(
    path: Path, run_dir: Path, name: str, profile: str, environment: Mapping[str, str], mode: int = 0o644
) -> None:
    """Write a rendered bootstrap to a file, and its SDS files to a folder, atomically.

    Raises KeyError for a placeholder without a value; nothing is written then.
    """
    bootstrap = render_bootstrap(name, profile, environment)
    files = {run_dir / file: text for file, text in render_secrets(name, profile, environment).items()}
    for target, text in (files | {path: bootstrap}).items():
        temporary = target.with_name(f".{target.name}.new")
        temporary.touch(mode)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)


def main() -> None:
    """Render the bootstrap named on the command line. Exits the process with an error for invalid settings."""
    profile = environ.get("ENVIRONMENT", "production")
    errors = [*iter_value_errors(environ), *(iter_production_errors(environ) if profile == "production" else ())]
    if errors:
        sys.exit("\n  ".join(("invalid environment:", *errors)))
    path = Path(sys.argv[2])
    try:
        write_bootstrap(path, path.parent, sys.argv[1], profile, environ)
    except KeyError as missing:
        sys.exit(f"invalid environment:\n  {missing.args[0]}: is missing")


if __name__ == "__main__":
    main()
