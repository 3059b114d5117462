"""Bounded queues of the gateway's app and limits of the edge's Envoy."""

from dataclasses import replace

import pytest

from codegen.envoy import overload
from codegen.envoy.request_bodies import MAX_JSON_BODY_BYTES
from codegen.kubernetes.containers import EDGE_MEMORY_MIB
from codegen.rest.operations import iter_operations
from tests.unit.codegen.sample_contracts import create_contracts

OPERATIONS = {operation.id: operation for operation in iter_operations(create_contracts(), "delivery")}
CLUSTERS = {each["name"]: each for each in overload.build_gateway_clusters()}


@pytest.mark.parametrize(
    ("name", "cluster"), [("getNote", "app"), ("watchNote", "app"), ("receiveCallback", "callbacks")]
)
def test_callbacks_have_a_cluster_of_their_own(name: str, cluster: str) -> None:
    assert overload.get_cluster(OPERATIONS[name]) == cluster


def test_uploads_have_a_cluster_of_their_own() -> None:
    upload = replace(OPERATIONS["updateNote"], raw={"x-max-bytes": MAX_JSON_BODY_BYTES + 1})
    assert overload.get_cluster(upload) == "uploads"


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("getNote", {overload.CONCURRENCY_FILTER}),
        ("watchNote", set()),
        ("updateNote", set()),
        ("receiveCallback", set()),
    ],
)
def test_concurrency_of_reads_is_limited_by_latency(name: str, filters: set[str]) -> None:
    assert overload.configure_concurrency(OPERATIONS[name]).keys() == filters


def test_concurrency_limit_is_within_the_limit_of_the_cluster() -> None:
    controller = overload.build_concurrency_filter()["typed_config"]["gradient_controller_config"]
    maximum = controller["concurrency_limit_params"]["max_concurrency_limit"]
    (thresholds, _) = CLUSTERS["app"]["circuit_breakers"]["thresholds"]
    assert controller["min_rtt_calc_params"]["min_concurrency"] < maximum <= thresholds["max_requests"]


def test_all_clusters_reach_the_same_app() -> None:
    assert CLUSTERS.keys() == {"app", "callbacks", "uploads"}
    for name, cluster in CLUSTERS.items():
        assert cluster["load_assignment"]["cluster_name"] == name
        assert cluster["load_assignment"]["endpoints"] == CLUSTERS["app"]["load_assignment"]["endpoints"]


def test_queue_of_reads_is_shorter_than_a_second_at_capacity() -> None:
    requests, streams = CLUSTERS["app"]["circuit_breakers"]["thresholds"]
    assert requests["max_connections"] + requests["max_pending_requests"] == requests["max_requests"] <= 200
    assert streams["priority"] == "HIGH"


def test_streams_of_other_clusters_have_no_limits() -> None:
    for name in ("callbacks", "uploads"):
        (requests,) = CLUSTERS[name]["circuit_breakers"]["thresholds"]
        assert "priority" not in requests


def test_overload_actions_begin_before_the_heap_is_full() -> None:
    manager = overload.build_overload_manager()
    heap, connections = (each["typed_config"] for each in manager["resource_monitors"])
    assert heap["max_heap_size_bytes"] < EDGE_MEMORY_MIB * 2**20
    assert connections["max_active_downstream_connections"] == overload.MAX_DOWNSTREAM_CONNECTIONS
    idle, *others = manager["actions"]
    shares = [each["triggers"][0]["threshold"]["value"] for each in others]
    assert shares == sorted(shares)
    assert max(shares) < 1
    assert idle["triggers"][0]["scaled"]["saturation_threshold"] <= shares[0]
