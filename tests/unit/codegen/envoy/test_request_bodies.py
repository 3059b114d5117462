"""Body limits, buffering and connections of operations at the edge."""

from dataclasses import replace

import pytest

from codegen.envoy import request_bodies
from codegen.envoy.request_bodies import MAX_JSON_BODY_BYTES
from codegen.rest.operations import Operation, iter_operations
from tests.unit.codegen.sample_contracts import create_contracts

OPERATIONS = {operation.id: operation for operation in iter_operations(create_contracts(), "delivery")}
UPLOAD = replace(OPERATIONS["updateNote"], id="putPicture", raw={"x-max-bytes": MAX_JSON_BODY_BYTES + 1})


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_small_bodies_are_buffered_before_they_reach_the_app(operation: Operation) -> None:
    assert "buffer" in request_bodies.configure_route(operation)


def test_uploads_are_not_buffered() -> None:
    assert list(request_bodies.configure_route(UPLOAD)) == [f"body_{MAX_JSON_BODY_BYTES + 1}"]


def test_every_filter_is_enabled_by_routes_only() -> None:
    filters = {each["name"]: each for each in request_bodies.build_filters([*OPERATIONS.values(), UPLOAD])}
    assert all(each["disabled"] for each in filters.values())
    assert list(filters) == ["body_1024", "body_65536", "body_65537", "buffer"]
    assert filters["buffer"]["typed_config"]["max_request_bytes"] == MAX_JSON_BODY_BYTES
