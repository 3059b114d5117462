"""Scheduling, certificates and selectors that all data services share."""

from codegen.kubernetes.data_services import common
from codegen.kubernetes.network_policies import Connections
from codegen.mesh import PLACEHOLDER

LABELS = {"app": "store"}


def test_clients_of_an_engine_are_the_services_that_connect_to_it() -> None:
    connections = {"gateway": Connections(("postgresql", "memcached"), ()), "orders": Connections(("postgresql",), ())}
    assert common.list_clients(connections) == {"memcached": ["gateway"], "postgresql": ["gateway", "orders"]}


def test_pods_are_on_different_nodes() -> None:
    (term,) = common.build_anti_affinity(LABELS)["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term == {"labelSelector": {"matchLabels": LABELS}, "topologyKey": "kubernetes.io/hostname"}


def test_zones_have_the_same_number_of_pods_or_one_more() -> None:
    (constraint,) = common.build_zone_spread(LABELS)
    assert (constraint["maxSkew"], constraint["topologyKey"]) == (1, "topology.kubernetes.io/zone")
    assert constraint["whenUnsatisfiable"] == "DoNotSchedule"
    assert constraint["labelSelector"] == {"matchLabels": LABELS}


def test_one_pod_of_an_engine_is_evicted_at_a_time() -> None:
    budget = common.build_disruption_budget("mongodb", LABELS)
    assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}}


def test_certificate_is_issued_for_the_host_names() -> None:
    spec = common.build_server_certificate("mongodb", ["store.test"])["spec"]
    assert (spec["secretName"], spec["dnsNames"]) == ("mongodb-tls", ["store.test"])
    assert "secretTemplate" not in spec


def test_secret_of_a_certificate_has_the_labels() -> None:
    spec = common.build_server_certificate("postgresql", [], reload="")["spec"]
    assert spec["secretTemplate"] == {"labels": {"reload": ""}}


def test_host_names_work_within_the_namespace_and_from_others() -> None:
    names = common.build_host_names("store")
    assert names == ["store", f"store.{PLACEHOLDER}.svc", f"store.{PLACEHOLDER}.svc.cluster.local"]


def test_client_selector_matches_services_and_their_migrations() -> None:
    (expression,) = common.build_client_selector(["orders"])["matchExpressions"]
    assert expression["values"] == ["orders", "orders-migrate"]
