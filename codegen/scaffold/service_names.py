"""Names that a new service may have."""

import builtins
import keyword
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from codegen.envoy.external_callers import RESERVED_NAMES

NAME_PATTERN = re.compile(r"[a-z][a-z0-9]{1,19}")
RESERVED = RESERVED_NAMES | frozenset(
    {
        *("common", "delivery", "demo", "documents", "events", "google", "mesh", "objects", "operator", "options"),
        *("authority", "rabbitmq", "postgres", "memcached", "mongo", "runtime", "sandbox", "secrets", "setup"),
        *("sidecars", "spans", "target", "tests", "v1"),
    }
)
"""Names of other packages, users, volumes and processes."""

SQL_KEYWORDS = frozenset(
    {
        *("all", "analyse", "analyze", "and", "any", "array", "as", "asc", "both", "case", "cast", "check", "collate"),
        *("column", "constraint", "create", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except"),
        *("false", "fetch", "for", "foreign", "from", "grant", "group", "having", "in", "initially", "intersect"),
        *("into", "lateral", "leading", "limit", "localtime", "not", "null", "offset", "on", "only", "or", "order"),
        *("placing", "primary", "public", "references", "returning", "select", "some", "symmetric", "table", "then"),
        *("to", "trailing", "true", "union", "unique", "user", "using", "variadic", "when", "where", "window", "with"),
    }
)
"""Words that PostgreSQL does not accept as the name of a role or a database."""


def find_name_error(name: str, root: Path) -> str | None:
    """Return in one sentence why a service cannot have the name, or None."""
    return next(_iter_errors(name, root), None)


def _iter_errors(name: str, root: Path) -> Iterator[str]:
    if not NAME_PATTERN.fullmatch(name):
        yield f"{name!r} is not a name of a service: use 2 to 20 of a-z and 0-9, first one of a-z"
        return
    if name in _load(root / "envoy/mesh.yaml")["sidecars"]:
        yield f"the service {name} exists: choose another name, or remove it with: make service NAME={name} DELETE=1"
    if keyword.iskeyword(name) or name in vars(builtins):
        yield f"{name} is a name of Python: choose another name"
    if name in RESERVED or name in SQL_KEYWORDS:
        yield f"{name} is reserved: choose another name"
    if any((root / f"services/{name}").rglob("*.py")):
        yield f"services/{name} exists: remove it, or choose another name"
    document = _load(root / "api-specs/openapi/delivery.yaml")
    if name in {tag["name"] for tag in document["tags"]}:
        yield f"{name} is a tag of api-specs/openapi/delivery.yaml: choose another name"
    if f"/users/me/{name}" in document["paths"]:
        yield f"/users/me/{name} is a path of api-specs/openapi/delivery.yaml: choose another name"


def _load(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
