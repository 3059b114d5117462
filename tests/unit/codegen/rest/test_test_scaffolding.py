"""Scaffolding of tests for new operations."""

from pathlib import Path

import pytest

from codegen.contracts import Contracts, load
from codegen.rest import test_scaffolding
from codegen.rest.handlers import MODULE
from codegen.rest.operations import Operation, iter_operations
from tests.conftest import ROOT

CONTRACTS: Contracts = load(ROOT)
OPERATIONS = {operation.id: operation for operation in iter_operations(CONTRACTS, CONTRACTS.name)}


def test_generated_table_binds_every_operation() -> None:
    assert (
        test_scaffolding.list_bound_operations(
            (ROOT / "generated" / CONTRACTS.get_rest_path(MODULE)).read_text(encoding="utf-8")
        )
        == OPERATIONS.keys()
    )


def test_only_new_operations_get_a_test() -> None:
    assert test_scaffolding.render_new_tests(CONTRACTS, set(OPERATIONS)) == {}
    assert list(test_scaffolding.render_new_tests(CONTRACTS, OPERATIONS.keys() - {"cancelOrder"})) == [
        "tests/e2e/test_cancel_order.py"
    ]


def test_roles_are_those_of_the_contract() -> None:
    assert {*test_scaffolding.list_roles(CONTRACTS)} == {"customer", "deliverer", "admin"}


def test_existing_tests_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / test_scaffolding.TESTS_FOLDER).mkdir(parents=True)
    names = [f"{test_scaffolding.TESTS_FOLDER}/test_{name}.py" for name in ("one", "two")]
    (tmp_path / names[0]).write_text("existing", encoding="utf-8")
    assert test_scaffolding.write_tests(tmp_path, dict.fromkeys(names, "scaffolded")) == [tmp_path / names[1]]
    assert [(tmp_path / name).read_text(encoding="utf-8") for name in names] == ["existing", "scaffolded"]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_scaffold_asserts_contract_and_fails(operation: Operation) -> None:
    text = test_scaffolding.render_test(CONTRACTS, operation)
    compile(text, "scaffold", "exec")
    assert ("401" in text) == (operation.scheme == "bearer")
    assert ("403" in text) == (0 < len(set(operation.roles)) < len(test_scaffolding.list_roles(CONTRACTS)))
    assert "pytest.fail(" in text
