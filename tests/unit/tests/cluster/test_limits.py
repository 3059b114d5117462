"""Maximum gaps between successful writes."""

import os

import pytest

from tests.cluster.limits import PROBES, find_limits


def test_only_the_lost_engine_may_have_a_gap() -> None:
    assert find_limits("kill", ["data1-rabbitmq"], 0) == dict.fromkeys(PROBES, 2.0) | {"rabbitmq": 10}
    assert find_limits("kill", ["etcd1-etcd"], 0) == dict.fromkeys(PROBES, 2.0)
    assert find_limits("disk", ["data1-postgres"], 0) == dict.fromkeys(PROBES, 2.0) | {"postgres": 20, "orders": 20}


@pytest.mark.parametrize("process", ["memcached", "orders", "orders-envoy"])
def test_loss_of_a_service_or_cache_node_causes_no_gap(process: str) -> None:
    assert set(find_limits("kill", [f"app1-{process}"], 0).values()) == {2.0}


def test_limits_of_two_nodes_are_combined() -> None:
    limits = find_limits("kill", ["data1-postgres", "data2-documents"], 0)
    assert limits == {"postgres": 20, "rabbitmq": 2.0, "documents": 15, "memcached": 2.0, "orders": 20}


def test_isolated_data_machine_may_interrupt_all_of_its_engines() -> None:
    limits = find_limits("partition", ["data1"], 0)
    assert limits == {"postgres": 20, "rabbitmq": 10, "documents": 15, "memcached": 2.0, "orders": 20}


def test_isolated_app_machine_may_interrupt_orders_only() -> None:
    assert find_limits("partition", ["app2"], 0) == dict.fromkeys(PROBES, 2.0) | {"orders": 10.0}
    assert find_limits("partition", ["etcd1"], 0) == dict.fromkeys(PROBES, 2.0)


def test_load_extends_the_limits_of_unaffected_probes_only() -> None:
    processors = os.cpu_count() or 1
    for load, limit_s in ((0.5, 2.0), (2.0, 4.0), (30.0, 5.0)):
        limits = find_limits("kill", ["data1-postgres"], load * processors)
        assert limits == {"postgres": 20, "rabbitmq": limit_s, "documents": limit_s, "memcached": limit_s, "orders": 20}
