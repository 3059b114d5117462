"""Names and command lines of the cluster's network; the namespaces themselves need root."""

from pathlib import Path

from deploy.cluster.machines import DATA_MACHINES, MACHINES, OUTSIDE
from deploy.cluster.network import Network

MAX_NAMESPACE_LENGTH = 255


def test_namespaces_of_clusters_in_different_folders_differ() -> None:
    first, second = Network(Path("/one")), Network(Path("/two"))
    names = [network.get_namespace(machine) for network in (first, second) for machine in (*MACHINES, OUTSIDE)]
    assert len(set(names)) == len(names)
    assert all(len(name) < MAX_NAMESPACE_LENGTH for name in names)


def test_command_runs_in_namespace_and_folder_of_its_machine_as_a_user() -> None:
    network = Network(Path("/state"))
    command = network.build_machine_command(DATA_MACHINES[0], ["etcd", "--name=data1"], Path("/state/data1"), 65534)
    namespace = f"/run/netns/{network.get_namespace(DATA_MACHINES[0])}"
    assert command == [
        "nsenter",
        f"--net={namespace}",
        "--wd=/state/data1",
        "--setuid=65534",
        "--setgid=65534",
        "--",
        "etcd",
        "--name=data1",
    ]


def test_outside_command_resolves_the_hosts_of_the_cluster() -> None:
    network = Network(Path("/state"))
    assert network.build_outside_command(["true"]) == ["ip", "netns", "exec", network.get_namespace(OUTSIDE), "true"]
