"""A new operation gets a test with what the contract says of it; nobody's test is replaced."""

from pathlib import Path

import pytest

from codegen import skeletons
from codegen.contracts import Contracts, load
from codegen.handlers import API, PATH
from codegen.operations import Operation, operations
from tests.conftest import ROOT

CONTRACTS: Contracts = load(ROOT)
OPERATIONS = {operation.id: operation for operation in operations(CONTRACTS, API)}


def test_what_is_generated_binds_every_operation() -> None:
    assert skeletons.known((ROOT / "generated" / PATH).read_text()) == OPERATIONS.keys()


def test_only_what_is_new_gets_one() -> None:
    assert skeletons.new(CONTRACTS, set(OPERATIONS)) == {}
    assert list(skeletons.new(CONTRACTS, OPERATIONS.keys() - {"cancelOrder"})) == ["tests/e2e/test_cancel_order.py"]


def test_what_somebody_has_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / skeletons.FOLDER).mkdir(parents=True)
    names = [f"{skeletons.FOLDER}/test_{name}.py" for name in ("one", "two")]
    (tmp_path / names[0]).write_text("mine")
    assert skeletons.write(tmp_path, dict.fromkeys(names, "ours")) == [tmp_path / names[1]]
    assert [(tmp_path / name).read_text() for name in names] == ["mine", "ours"]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_it_asks_what_the_contract_promises_and_fails_until_it_is_finished(operation: Operation) -> None:
    text = skeletons.skeleton(CONTRACTS, operation)
    compile(text, "skeleton", "exec")
    assert ("401" in text) == (operation.scheme == "bearer")
    assert ("403" in text) == (0 < len(set(operation.roles)) < len(skeletons.ROLES))
    assert "pytest.fail(" in text
