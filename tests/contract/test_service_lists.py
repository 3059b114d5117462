"""Names of the services: envoy/mesh.yaml has them, and the configuration of tools that cannot read it is complete."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Collection, Iterator
from typing import Any

import pytest
import yaml

from deploy.local.mesh_config import CALLEES, SERVICES
from tests.conftest import ROOT

OWN_FOLDERS = tuple(
    f"{folder}{name}/"
    for folder in ("services/", "migrations/", "tests/unit/", "deploy/local/")
    for name in (*SERVICES, "sandbox", "demo")
)
SOURCES = ("api-specs/", "generated/", "design/", "envoy/mesh.yaml", "bench/")
"""Contracts and what is derived from them, the file of the mesh, and benchmarks of flows between the services."""

LINES = {
    ".github/CODEOWNERS": "/services/{name}/",
    "deploy/containers/databases.sql": "CREATE DATABASE {name} OWNER {name};",
    "deploy/containers/rabbitmq/users.json": '"name": "{name}"',
    "deploy/kubernetes/local/kustomization.yaml": "  - name: {name}\n",
    "deploy/kubernetes/production/settings/kustomization.yaml": "  - {{name: {name}, ",
}
"""Text that a file contains for each service."""

CALLEE_LINES = {
    "deploy/kubernetes/local/settings/sidecars.env": "{upper}_HOST={name}\n",
    "deploy/kubernetes/production/settings/sidecars.env": "{upper}_HOST={name}\n",
    "docker-compose.yml": "{upper}_HOST: {name}-envoy\n",
}
"""Text that a file contains for each service that others call."""

EXCEPTIONS = {
    **dict.fromkeys((*LINES, *CALLEE_LINES, "pyproject.toml"), "the tool reads no other file; a test compares it"),
    "deploy/local/infrastructure/services.py": "settings that only some services have",
    "deploy/trace_viewer/static/page.js": "fixed colours of some services; those of others are computed",
    "Makefile": "examples of processes, and names of parts of the benchmark",
    "migrations/check.py": "facts about the first release",
    "tests/contract/test_containers.py": "services with an error each, so that all kinds are covered",
    "tests/e2e/expected_metrics.yaml": "expected values",
    "tests/e2e/expected_spans.yaml": "expected values",
    "tests/e2e/test_common_errors.py": "owners of operations",
    "tests/integration/test_confirm_order_flow.py": "participants of a flow",
    "tests/modules_without_unit_tests.yaml": "paths of modules",
    "tests/unit/codegen/kubernetes/test_network_policies.py": "expected values",
    "tests/unit/deploy/local/infrastructure/test_services.py": "expected values",
    "tests/unit/deploy/local/status/test_status_view.py": "processes of a sample",
    "tests/unit/runtime/config/test_production_checks.py": "settings that only some services have",
}
"""Files with lists of services, with reasons."""

MIN_LIST_LENGTH = 4
"""Number of services that make a list in a file that is no Python module."""


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def assert_named(path: str, name: str, text: str) -> None:
    assert text in read(path), f"{path} lacks the service {name}: add {text.strip()!r}, as for the other services"


@pytest.mark.parametrize("path", LINES)
@pytest.mark.parametrize("name", SERVICES)
def test_file_names_every_service(path: str, name: str) -> None:
    assert_named(path, name, LINES[path].format(name=name))


@pytest.mark.parametrize("path", CALLEE_LINES)
@pytest.mark.parametrize("name", CALLEES)
def test_file_names_every_called_service(path: str, name: str) -> None:
    assert_named(path, name, CALLEE_LINES[path].format(name=name, upper=name.upper()))


@pytest.mark.parametrize("name", SERVICES)
def test_compose_runs_service_with_sidecar_and_volume(name: str) -> None:
    document = yaml.load(read("docker-compose.yml"), Loader=yaml.CSafeLoader)
    parts = {"services": {name, f"{name}-envoy"}, "volumes": {name}}
    for section, names in parts.items():
        for each in sorted(names - document[section].keys()):
            pytest.fail(f"docker-compose.yml lacks {each} in {section}: add it, as for the other services")
    mounts = {volume.partition(":")[0] for volume in document["services"]["setup"]["volumes"]}
    assert name in mounts, f"docker-compose.yml lacks the volume {name} in setup: add it, as for the other services"


def find_missing_import_rules(contracts: Collection[dict[str, Any]], name: str) -> Iterator[str]:
    """Yield what the import rules lack for a service."""
    module = f"services.{name}"
    by_name = {contract["name"]: contract for contract in contracts}
    for rule, field in (
        ("Services never import each other", "modules"),
        ("The runtime imports no service, no generator and no deployment code", "forbidden_modules"),
        ("Nothing imports the sandbox", "source_modules"),
    ):
        if module not in by_name[rule][field]:
            yield f"pyproject.toml lacks {module} in the {field} of the import rule {rule!r}: add it"
    if by_name.get(f"Layers of {name}", {}).get("containers") != [module]:
        yield f"pyproject.toml lacks the import rule 'Layers of {name}': add it, as for the other services"


@pytest.mark.parametrize("name", SERVICES)
def test_import_rules_cover_every_service(name: str) -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    assert [*find_missing_import_rules(contracts, name)] == []


def test_missing_import_rules_are_named() -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    errors = [*find_missing_import_rules(contracts, "absent")]
    assert len(errors) == 4
    assert errors[-1] == "pyproject.toml lacks the import rule 'Layers of absent': add it, as for the other services"


def find_words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower())) & {*SERVICES}


def list_values(node: ast.AST) -> Iterator[ast.AST | None]:
    """Yield the items of a literal; of items that are tuples, the first value."""
    match node:
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            yield from (item.elts[0] if isinstance(item, ast.Tuple) and item.elts else item for item in items)
        case ast.Dict(keys=keys, values=values):
            yield from (*keys, *values)


def names_services(source: str) -> bool:
    """Return whether a literal of the module contains at least three services."""
    for node in ast.walk(ast.parse(source)):
        values = [*list_values(node)]
        found = {value.value for value in values if isinstance(value, ast.Constant)}
        found |= {value.id for value in values if isinstance(value, ast.Name)}
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = find_words(node.value) if "\n" not in node.value else set()
        if len(found & {*SERVICES}) >= 3:
            return True
    return False


def has_hand_written_list(path: str, text: str) -> bool:
    """Return whether a file contains a list of services: a literal in Python, or four names in another file."""
    return names_services(text) if path.endswith(".py") else len(find_words(text)) >= MIN_LIST_LENGTH


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.py", 'NAMES = ("orders", "partners", "gateway")', True),
        ("a.py", 'NAMES = {"orders": 1, "partners": 2, "gateway": 3}', True),
        ("a.py", 'PATTERN = "orders|partners|notifications"', True),
        ("a.py", "CASES = [(orders, 1), (partners, 1), (gateway, 2)]", True),
        ("a.py", 'NAMES = ("orders", "partners")', False),
        ("a.sh", "for name in gateway orders partners notifications; do", True),
        ("a.sh", "for name in orders partners; do", False),
    ],
)
def test_list_of_services_is_found(path: str, text: str, expected: bool) -> None:
    assert has_hand_written_list(path, text) == expected


def test_no_other_file_lists_the_services() -> None:
    command = ["git", "grep", "-lIE", "orders|ORDERS", "--", ":!*.md", ":!*.lock"]
    result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8")
    paths = [path for path in result.stdout.split() if not path.startswith((*OWN_FOLDERS, *SOURCES))]
    found = {path for path in paths if has_hand_written_list(path, read(path))}
    found.discard("tests/contract/test_service_lists.py")
    new = sorted(found - EXCEPTIONS.keys())
    assert new == [], f"{', '.join(new)}: derive the services from envoy/mesh.yaml, as deploy/local/mesh_config.py does"


def test_exceptions_name_files_with_lists() -> None:
    assert [path for path in EXCEPTIONS if not (ROOT / path).is_file()] == []
