"""StatefulSet of Memcached."""

from codegen.kubernetes.data_services import memcached


def test_entries_are_distributed_over_two_pods_on_different_nodes() -> None:
    spec = memcached.build_stateful_set()["spec"]
    assert spec["replicas"] == len(memcached.list_hosts()) == 2
    assert "podAntiAffinity" in spec["template"]["spec"]["affinity"]


def test_connections_need_tls_and_a_password() -> None:
    arguments = memcached.build_container()["args"]
    assert arguments[arguments.index("-Y") + 1] == "/etc/memcached/users/users"
    assert "-Z" in arguments
    assert arguments[-1] == "ssl_chain_cert=/etc/memcached/tls/tls.crt,ssl_key=/etc/memcached/tls/tls.key"


def test_memory_of_the_container_exceeds_that_of_the_cache() -> None:
    container = memcached.build_container()
    assert container["resources"]["limits"]["memory"] == f"{2 * memcached.CACHE_MIB}Mi"
    assert container["args"][container["args"].index("-m") + 1] == str(memcached.CACHE_MIB)


def test_hosts_have_the_certificate() -> None:
    certificate, service, *_ = memcached.build_objects(["gateway"])
    (pattern,) = certificate["spec"]["dnsNames"]
    assert all(host.partition(".")[2] == f"{pattern.removeprefix('*.')}:11211" for host in memcached.list_hosts())
    assert service["spec"]["clusterIP"] == "None"
