"""Result of the node-loss test."""

import json
from pathlib import Path

from tests.cluster.faults import Fault, Observation
from tests.cluster.limits import PROBES
from tests.cluster.report import Result, find_long_gaps, format_observation

KILL = Fault("kill", ("leader of postgres",))


def build_observation(**gaps_s: float) -> Observation:
    return Observation(KILL, ("data2-postgres",), dict.fromkeys(PROBES, 0.1) | gaps_s, load=0.5)


def test_gaps_within_their_limits_are_no_findings() -> None:
    assert find_long_gaps([build_observation(postgres=19.9, orders=19.9, rabbitmq=1.9)]) == []


def test_gap_that_exceeds_its_limit_is_a_finding() -> None:
    (first, second) = find_long_gaps([build_observation(postgres=20.1), build_observation(memcached=2.1)])
    assert (first.subject, first.description) == (str(KILL), "20.1 s without a write: postgres; at most 20.0 s")
    assert second.description == "2.1 s without a write: memcached; at most 2.0 s"


def test_line_of_a_fault_has_its_number_time_and_affected_process() -> None:
    line = format_observation(build_observation(), 3, 16, 83.0)
    assert line.startswith("1:23 3/16 kill leader of postgres (data2-postgres): ")


def test_written_result_contains_faults_and_findings(tmp_path: Path) -> None:
    observation = build_observation(postgres=20.1)
    result = Result(7, [observation], 4, {"delivered": 4}, find_long_gaps([observation]), 90.4)
    path = tmp_path / "results.json"
    result.write(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["seed"], content["seconds"], content["orders"]) == (7, 90, 4)
    assert content["faults"][0]["gaps_s"]["postgres"] == 20.1
    assert content["findings"][0]["kind"] == "stuck"
