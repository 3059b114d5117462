"""A new operation gets a test with what the contract says of it; nobody's test is replaced."""

from pathlib import Path

import pytest

from codegen.contracts import Contracts, load
from codegen.rest import test_scaffolding
from codegen.rest.handlers import API, OUTPUT_PATH
from codegen.rest.operations import Operation, operations
from tests.conftest import ROOT

CONTRACTS: Contracts = load(ROOT)
OPERATIONS = {operation.id: operation for operation in operations(CONTRACTS, API)}


def test_what_is_generated_binds_every_operation() -> None:
    assert test_scaffolding.bound_operations((ROOT / "generated" / OUTPUT_PATH).read_text()) == OPERATIONS.keys()


def test_only_what_is_new_gets_one() -> None:
    assert test_scaffolding.new_tests(CONTRACTS, set(OPERATIONS)) == {}
    assert list(test_scaffolding.new_tests(CONTRACTS, OPERATIONS.keys() - {"cancelOrder"})) == [
        "tests/e2e/test_cancel_order.py"
    ]


def test_what_somebody_has_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / test_scaffolding.TESTS_FOLDER).mkdir(parents=True)
    names = [f"{test_scaffolding.TESTS_FOLDER}/test_{name}.py" for name in ("one", "two")]
    (tmp_path / names[0]).write_text("mine")
    assert test_scaffolding.write_tests(tmp_path, dict.fromkeys(names, "ours")) == [tmp_path / names[1]]
    assert [(tmp_path / name).read_text() for name in names] == ["mine", "ours"]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_it_asks_what_the_contract_promises_and_fails_until_it_is_finished(operation: Operation) -> None:
    text = test_scaffolding.render_test(CONTRACTS, operation)
    compile(text, "skeleton", "exec")
    assert ("401" in text) == (operation.scheme == "bearer")
    assert ("403" in text) == (0 < len(set(operation.roles)) < len(test_scaffolding.DEMO_ROLES))
    assert "pytest.fail(" in text
