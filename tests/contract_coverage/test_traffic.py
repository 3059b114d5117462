"""What the suite has done at the edge, held against the contract. It runs last; a part of the suite proves nothing."""

from collections.abc import Mapping
from datetime import datetime

import httpx
import pytest
import yaml

from codegen.contracts import load
from codegen.rest.operations import Operation, operations
from tests.access_log import collect_statuses, read_access_log
from tests.conftest import ROOT, Mesh
from tests.wait import wait_until

OPERATIONS = {operation.id: operation for operation in operations(load(ROOT), "delivery")}
EXCEPTIONS: Mapping[str, Mapping[int, str]] = yaml.safe_load(
    (ROOT / "tests/contract_coverage/exceptions.yaml").read_text()
)


@pytest.fixture(scope="session")
def seen(mesh: Mesh, edge: httpx.Client, session_start: datetime) -> Mapping[str, set[int]]:
    """The statuses that each operation has answered in this run; the log has all of them when it has the last."""
    last = edge.get("/catalog").headers["x-request-id"]
    wait_until(
        "the edge has written its log",
        lambda: any(line["request_id"] == last for line in read_access_log(mesh.state_dir)),
    )
    return collect_statuses(mesh.state_dir, session_start)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_documented_answer_was_given(seen: Mapping[str, set[int]], operation: Operation) -> None:
    documented = {int(status) for status in operation.raw["responses"]}
    excepted = EXCEPTIONS.get(operation.id, {}).keys()
    assert not {status for status in documented if status < 500} - seen[operation.id] - excepted, "never seen"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_no_other_answer_was_given(seen: Mapping[str, set[int]], operation: Operation) -> None:
    documented = {int(status) for status in operation.raw["responses"]}
    assert not seen[operation.id] - documented, "documented nowhere"


def test_no_exception_is_stale(seen: Mapping[str, set[int]]) -> None:
    for name, reasons in EXCEPTIONS.items():
        documented = {int(status) for status in OPERATIONS[name].raw["responses"]}
        assert reasons.keys() <= documented, name
        assert not reasons.keys() & seen[name], f"{name} was seen after all"
        assert all(reasons.values()), name
