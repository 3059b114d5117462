"""Specifications of etcd and of PostgreSQL with Patroni."""

import json

from deploy.cluster.machines import DATA_MACHINES, ETCD_MACHINES, Machine, MachineConfig
from deploy.cluster.postgres import DYNAMIC_CONFIGURATION, build_patroni_config, define_etcd, define_patroni
from deploy.local.pki.secrets import Secrets


def test_etcd_member_knows_all_members_and_listens_on_its_address(configs: dict[Machine, MachineConfig]) -> None:
    options = dict(option.split("=", 1) for option in define_etcd(configs[ETCD_MACHINES[1]]).command[1:])
    assert options["--name"] == "etcd2"
    assert options["--listen-client-urls"] == "http://10.77.0.32:2379"
    members = options["--initial-cluster"].split(",")
    assert members == [f"{machine.name}=http://{machine.address}:2380" for machine in ETCD_MACHINES]


def test_isolated_leader_demotes_itself_before_its_lease_expires() -> None:
    configuration = DYNAMIC_CONFIGURATION
    assert configuration["synchronous_mode"] is True
    assert configuration["loop_wait"] + 2 * configuration["retry_timeout"] <= configuration["ttl"]
    assert configuration["ttl"] < 15, "the limit of the gap is 20 seconds"


def test_node_uses_all_etcd_members_and_requires_passwords(
    configs: dict[Machine, MachineConfig], secrets: Secrets
) -> None:
    content = build_patroni_config(configs[DATA_MACHINES[2]], secrets)
    assert content["etcd3"]["hosts"] == [f"{machine.address}:2379" for machine in ETCD_MACHINES]
    postgres = content["postgresql"]
    assert postgres["listen"] == postgres["connect_address"] == "10.77.0.13:25432"
    assert all(rule.endswith(" scram-sha-256") for rule in postgres["pg_hba"])
    passwords = {user["password"] for user in postgres["authentication"].values()}
    assert passwords == {secrets.get_password("postgres"), secrets.get_password("postgres-replication")}


def test_only_the_first_node_creates_the_databases(configs: dict[Machine, MachineConfig], secrets: Secrets) -> None:
    nodes = [define_patroni(configs[machine], secrets) for machine in DATA_MACHINES]
    assert [node.on_ready is not None for node in nodes] == [True, False, False]


def test_configuration_with_passwords_is_private(configs: dict[Machine, MachineConfig], secrets: Secrets) -> None:
    config = configs[DATA_MACHINES[0]]
    node = define_patroni(config, secrets)
    assert node.before_start is not None
    node.before_start()
    path = config.folder / "patroni/patroni.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text(encoding="utf-8"))["name"] == "data1"
