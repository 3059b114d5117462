"""Names that a new service may have."""

import builtins
import keyword
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from codegen.contracts import OPENAPI_FOLDER
from codegen.envoy.external_callers import RESERVED_NAMES
from codegen.mesh import load_mesh

NAME_PATTERN = re.compile(r"[a-z][a-z0-9]{1,19}")
RESERVED = RESERVED_NAMES | frozenset(
    {
        *("common", "demo", "documents", "events", "google", "mesh", "objects", "operator", "options"),
        *("authority", "rabbitmq", "postgres", "memcached", "mongo", "runtime", "sandbox", "secrets", "setup"),
        *("broker", "cache", "collector", "databases", "jaeger", "sidecars", "spans", "storage", "target"),
        *("template0", "template1", "tests", "traces", "v1"),
    }
)
"""Names of other packages, users, databases, volumes, processes, containers and Kubernetes objects."""

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
    mesh = load_mesh(root)
    if name in mesh["sidecars"]:
        yield f"the service {name} exists: choose another name, or remove it with: make service NAME={name} DELETE=1"
    if keyword.iskeyword(name) or name in vars(builtins):
        yield f"{name} is a name of Python: choose another name"
    if name in RESERVED or name in SQL_KEYWORDS or name == mesh["name"]:
        yield f"{name} is reserved: choose another name"
    if any((root / f"services/{name}").rglob("*.py")):
        yield f"services/{name} exists: remove it, or choose another name"
    path = f"{OPENAPI_FOLDER}/{mesh['name']}.yaml"
    document = yaml.load((root / path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    if name in {tag["name"] for tag in document["tags"]}:
        yield f"{name} is a tag of {path}: choose another name"
    if f"/users/me/{name}" in document["paths"]:
        yield f"/users/me/{name} is a path of {path}: choose another name"
