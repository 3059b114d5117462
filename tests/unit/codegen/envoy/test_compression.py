"""Compression of responses at the edge."""

import pytest

from codegen.envoy import edge
from codegen.envoy.compression import (
    MEDIA_TYPES,
    PREFERRED,
    build_compression_filters,
    enable_compression,
    is_compressible,
)
from codegen.rest.operations import iter_operations
from tests.unit.codegen.sample_contracts import create_contracts

CONTRACTS = create_contracts()
OPERATIONS = {operation.id: operation for operation in iter_operations(CONTRACTS, "delivery")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("getLatestNote", True),
        ("getNote", False),  # has an ETag
        ("updateNote", False),
        ("watchNote", False),
        ("receiveCallback", False),
    ],
)
def test_reads_of_text_without_etag_are_compressed(name: str, expected: bool) -> None:
    assert is_compressible(OPERATIONS[name]) == expected
    (route,) = (each for each in edge.build_edge_routes(CONTRACTS) if each["name"] == name)
    assert (enable_compression().items() <= route["typed_per_filter_config"].items()) == expected


def test_filters_are_disabled_and_limited_to_text() -> None:
    filters = {each["name"]: each for each in build_compression_filters()}
    assert filters.keys() == enable_compression().keys()
    for name, each in filters.items():
        assert each["disabled"] is True
        assert each["typed_config"]["choose_first"] == (name == PREFERRED)
        assert each["typed_config"]["response_direction_config"]["weaken_etag_on_compress"] is True
    assert not [each for each in MEDIA_TYPES if each.startswith("image/") or each == "text/event-stream"]


def test_every_document_is_compressed() -> None:
    documents = [each for each in edge.build_edge_routes(CONTRACTS) if each["name"].startswith("document: ")]
    assert documents
    for route in documents:
        assert enable_compression().items() <= route["typed_per_filter_config"].items()
