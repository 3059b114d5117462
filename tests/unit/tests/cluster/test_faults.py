"""Faults of the node-loss test, and the gaps between successful writes."""

from deploy.cluster.machines import ETCD_MACHINES
from tests.cluster.faults import KINDS, LED_ENGINES, NODES, plan_faults
from tests.cluster.probes import Probe

SEEDS = range(1, 6)


def test_plan_is_reproducible_and_depends_on_the_seed() -> None:
    assert plan_faults(1) == plan_faults(1)
    assert plan_faults(1) != plan_faults(2)
    assert plan_faults(1, 5) == plan_faults(1)[:5]


def test_every_plan_contains_all_kinds_and_the_loss_of_each_leader() -> None:
    for seed in SEEDS:
        faults = plan_faults(seed)
        assert {fault.kind for fault in faults} == set(KINDS)
        killed = {target for fault in faults if fault.kind == "kill" for target in fault.targets}
        assert {f"leader of {engine}" for engine in LED_ENGINES} < killed
        assert ("leader of postgres",) in [fault.targets for fault in faults if fault.kind == "partition"]


def test_clock_is_skewed_first_so_that_later_jobs_become_due() -> None:
    assert [plan_faults(seed)[0].kind for seed in SEEDS] == ["skew"] * len(SEEDS)


def test_five_successive_seeds_kill_every_node() -> None:
    faults = [fault for seed in SEEDS for fault in plan_faults(seed)]
    killed = {fault.targets[0] for fault in faults if fault.kind == "kill" and len(fault.targets) == 1}
    assert killed == {*NODES, *(f"leader of {engine}" for engine in LED_ENGINES)}


def test_five_successive_seeds_isolate_each_leader_and_an_app_machine() -> None:
    faults = [fault for seed in SEEDS for fault in plan_faults(seed)]
    isolated = {target for fault in faults if fault.kind == "partition" for target in fault.targets}
    assert {f"leader of {engine}" for engine in LED_ENGINES} < isolated
    assert isolated & {"app1", "app2"}


def test_only_members_of_etcd_are_paused() -> None:
    members = {"leader of etcd", *(f"{machine.name}-etcd" for machine in ETCD_MACHINES)}
    for seed in range(20):
        (pause,) = (fault for fault in plan_faults(seed) if fault.kind == "pause")
        assert set(pause.targets) <= members


def test_two_nodes_of_different_engines_fail_on_different_machines() -> None:
    for seed in range(20):
        (pair,) = (fault for fault in plan_faults(seed) if len(fault.targets) == 2)
        machines, engines = zip(*(target.split("-") for target in pair.targets), strict=True)
        assert machines[0] != machines[1]
        assert engines[0] != engines[1]


def test_faults_are_selected_by_kind() -> None:
    assert {fault.kind for fault in plan_faults(1, kinds=["partition", "pause"])} == {"partition", "pause"}


def test_gap_is_the_longest_time_between_writes_after_the_fault() -> None:
    probe = Probe("test", [0.0, 9.0, 10.0, 10.5, 14.0, 14.5])
    assert probe.measure_gap_s(10.2, 15.0) == 3.5
    assert probe.measure_gap_s(14.2, 20.0) == 5.5, "no write until the end"
    assert probe.measure_gap_s(9.5, 10.1) == 1.0, "the fault interrupts a gap that has begun before"
