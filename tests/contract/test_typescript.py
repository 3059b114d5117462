"""The generated TypeScript client compiles, refuses what the contract refuses, and follows streams as it must."""

from codegen.contracts import load
from codegen.rest.operations import operations
from services.orders.domain.orders import FINAL_STATUSES
from tests.conftest import ROOT
from tests.typescript_client import compile_client, run_node


def test_it_behaves() -> None:
    done = run_node("--test", "tests/typescript/", CLIENT=str(compile_client()))
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout


def test_the_compiler_takes_and_refuses_what_the_contract_does() -> None:
    done = run_node("node_modules/typescript/bin/tsc", "-p", "tests/typescript")
    assert done.returncode == 0, done.stdout


def test_a_watch_ends_where_orders_do() -> None:
    (ends,) = [each.raw["x-final-event"] for each in operations(load(ROOT), "delivery") if "x-final-event" in each.raw]
    assert {field: set(values) for field, values in ends.items()} == {
        "status": {status.value for status in FINAL_STATUSES}
    }
