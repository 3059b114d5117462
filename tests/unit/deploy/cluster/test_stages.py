"""Start-up stages of the cluster."""

from collections import Counter
from pathlib import Path

from deploy.cluster.machines import APP_MACHINES, DATA_MACHINES, ETCD_MACHINES, Machine, MachineConfig
from deploy.cluster.network import Network
from deploy.cluster.stages import define_stages, place_process
from deploy.local.mesh_config import SERVICES
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import ProcessSpec


def test_every_engine_and_service_runs_on_several_machines(
    configs: dict[Machine, MachineConfig], secrets: Secrets, tmp_path: Path
) -> None:
    stages = define_stages(Network(tmp_path), configs, secrets)
    processes = [process for stage in stages for process in stage]
    names = Counter(process.name for process in processes)
    assert max(names.values()) == 1
    expected = {f"{machine.name}-{name}" for machine in DATA_MACHINES for name in ("postgres", "rabbitmq", "documents")}
    expected |= {f"{machine.name}-etcd" for machine in ETCD_MACHINES}
    expected |= {
        f"{machine.name}-{name}"
        for machine in APP_MACHINES
        for name in ("memcached", *SERVICES, *(f"{service}-envoy" for service in SERVICES))
    }
    assert names.keys() == expected | {"storage", "sandbox", "traces", "app1-ops-envoy"}
    for process in processes:
        machine, _, _ = process.name.partition("-")
        is_placed = process.command[0] == "nsenter" and any(
            part.endswith(f"-{machine}") for part in process.command[:2]
        )
        assert is_placed or process.name in ("storage", "sandbox", "traces")
        assert process.user is None


def test_sockets_of_the_machines_differ(
    configs: dict[Machine, MachineConfig], secrets: Secrets, tmp_path: Path
) -> None:
    stages = define_stages(Network(tmp_path), configs, secrets)
    sockets = [socket for stage in stages for process in stage for socket in process.sockets]
    assert max(Counter(sockets).values()) == 1


def test_additional_environment_is_that_of_the_machine_and_process(
    configs: dict[Machine, MachineConfig], secrets: Secrets, tmp_path: Path
) -> None:
    def build_environment(machine: Machine, process: ProcessSpec) -> dict[str, str]:
        is_skewed = machine is DATA_MACHINES[1] and process.name != "documents"
        return {"CLOCK": "skewed"} if is_skewed else {}

    stages = define_stages(Network(tmp_path), configs, secrets, build_environment)
    processes = [process for stage in stages for process in stage]
    changed = {process.name: process.command for process in processes if "CLOCK=skewed" in process.command}
    assert all(command.index("--") < command.index("CLOCK=skewed") for command in changed.values()), "not of nsenter"
    assert changed.keys() == {"data2-postgres", "data2-rabbitmq"}


def test_process_of_another_user_changes_it_on_its_machine(
    configs: dict[Machine, MachineConfig], tmp_path: Path
) -> None:
    process = ProcessSpec("cache", ["cache"], {}, lambda: True, user=65534, cleanup_command=["clean"])
    placed = place_process(Network(tmp_path), configs[APP_MACHINES[0]], process)
    assert placed.name == "app1-cache"
    assert placed.command[-4:] == ["--setuid=65534", "--setgid=65534", "--", "cache"]
    assert placed.user is None, "entering a namespace needs root"
    assert placed.cleanup_command[-2:] == ["--", "clean"]
