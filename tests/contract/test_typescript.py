"""Behaviour and types of the generated TypeScript client."""

import json

import pytest

from codegen.contracts import load
from codegen.rest.operations import iter_operations
from services.orders.domain.orders import FINAL_STATUSES
from tests.conftest import ROOT
from tests.typescript_client import compile_client, run_node


def test_client_passes_its_node_tests() -> None:
    result = run_node("--test", "tests/typescript/", CLIENT=str(compile_client()))
    assert result.returncode == 0, result.stdout
    assert "# fail 0" in result.stdout
    assert "# pass 0" not in result.stdout


def test_typescript_types_match_contract() -> None:
    result = run_node("node_modules/typescript/bin/tsc", "-p", "tests/typescript")
    assert result.returncode == 0, result.stdout


def test_watch_ends_at_final_status() -> None:
    (final_event,) = [
        each.raw["x-final-event"] for each in iter_operations(load(ROOT), "delivery") if "x-final-event" in each.raw
    ]
    assert {field: set(values) for field, values in final_event.items()} == {
        "status": {status.value for status in FINAL_STATUSES}
    }


@pytest.mark.parametrize("path", ["package-lock.json", "deploy/mock/package-lock.json"])
def test_lock_file_contains_hashes_and_no_registry_address(path: str) -> None:
    packages = json.loads((ROOT / path).read_text(encoding="utf-8"))["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert installed
    assert [name for name, package in installed.items() if "resolved" in package] == []
    assert [name for name, package in installed.items() if "integrity" not in package] == []
