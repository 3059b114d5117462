"""Coverage of the contract by all requests of the test suite. Runs last, and requires the whole suite."""

from collections.abc import Mapping
from datetime import datetime

import httpx
import pytest
import yaml

from codegen.contracts import load
from codegen.rest.operations import Operation, iter_operations
from tests.access_log import collect_statuses, read_access_log
from tests.conftest import ROOT, Mesh
from tests.wait import wait_until

OPERATIONS = {operation.id: operation for operation in iter_operations(load(ROOT), "delivery")}
EXCEPTIONS: Mapping[str, Mapping[int, str]] = yaml.load(
    (ROOT / "tests/contract_coverage/exceptions.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
)

RATE_LIMITED = 429
"""Status that no test of the mesh causes, because its limits are raised; tests/security/test_rate_limits.py does."""

REQUEST_TIMEOUT = 408
"""Status of the edge after 30 seconds, which no test awaits; tests/security/test_unfinished_requests.py does."""


def list_documented(operation: Operation) -> set[int]:
    """Return the statuses that an operation returns according to the contract."""
    return {int(each) for each in operation.raw["responses"].keys() - operation.raw.get("x-obsolete-statuses", [])}


@pytest.fixture(scope="session")
def statuses(mesh: Mesh, edge: httpx.Client, session_start: datetime) -> Mapping[str, set[int]]:
    """Status codes of each operation in this run. The log is complete when it contains the last request."""
    last_request_id = edge.get("/catalog").headers["x-request-id"]
    wait_until(
        lambda: any(entry["request_id"] == last_request_id for entry in read_access_log(mesh.state_dir)),
        description="edge has written its access log",
    )
    return collect_statuses(mesh.state_dir, session_start)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_documented_status_was_returned(statuses: Mapping[str, set[int]], operation: Operation) -> None:
    documented = list_documented(operation)
    excepted = EXCEPTIONS.get(operation.id, {}).keys() | {RATE_LIMITED, REQUEST_TIMEOUT}
    assert not {status for status in documented if status < 500} - statuses[operation.id] - excepted, (
        "documented, but not returned by any request"
    )


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_no_undocumented_status_was_returned(statuses: Mapping[str, set[int]], operation: Operation) -> None:
    documented = list_documented(operation)
    assert not statuses[operation.id] - documented, "returned, but not documented"


def test_no_coverage_exception_is_stale(statuses: Mapping[str, set[int]]) -> None:
    for name, reasons in EXCEPTIONS.items():
        assert reasons.keys() <= list_documented(OPERATIONS[name]), name
        assert not reasons.keys() & statuses[name], f"{name}: status was returned, remove the exception"
        assert all(reasons.values()), name
