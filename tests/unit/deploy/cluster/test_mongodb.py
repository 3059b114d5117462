"""Specification of a member of MongoDB's replica set."""

import re

from deploy.cluster.machines import DATA_MACHINES, Machine, MachineConfig
from deploy.cluster.mongodb import build_replica_set_config, define_member
from deploy.local.infrastructure.mongodb import REPLICA_SET
from deploy.local.pki.secrets import Secrets


def test_replica_set_has_all_members(configs: dict[Machine, MachineConfig]) -> None:
    content = build_replica_set_config(configs[DATA_MACHINES[0]])
    assert content["_id"] == REPLICA_SET
    assert [member["host"] for member in content["members"]] == [
        f"{machine.address}:27117" for machine in DATA_MACHINES
    ]


def test_an_unreachable_member_does_not_delay_the_replication_to_others(
    configs: dict[Machine, MachineConfig], secrets: Secrets
) -> None:
    config = configs[DATA_MACHINES[0]]
    assert build_replica_set_config(config)["settings"]["chainingAllowed"] is False
    command = define_member(configs, config, secrets).command
    assert "--setParameter=oplogNetworkTimeoutBufferSeconds=1" in command


def test_members_share_a_private_key(configs: dict[Machine, MachineConfig], secrets: Secrets) -> None:
    keys = set()
    for machine in DATA_MACHINES:
        member = define_member(configs, configs[machine], secrets)
        assert f"--replSet={REPLICA_SET}" in member.command
        assert member.before_start is not None
        member.before_start()
        path = configs[machine].folder / "documents.key"
        assert f"--keyFile={path}" in member.command
        assert path.stat().st_mode & 0o777 == 0o600
        keys.add(path.read_text(encoding="utf-8"))
    (key,) = keys
    assert re.fullmatch(r"[A-Za-z0-9+/]{32,1024}", key)
