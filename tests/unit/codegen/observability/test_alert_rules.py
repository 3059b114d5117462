"""Rules file of Prometheus: the recorded timeouts, and the alerts that refer to them."""

import re
from typing import Any

import pytest

from codegen.observability.alert_rules import build_alert_rules
from codegen.observability.alerts import build_alert_groups
from tests.unit.codegen.sample_contracts import create_contracts, create_method, create_service, create_stream

CONTRACTS = create_contracts(create_service("notes", create_method("GetNote"), create_stream("WatchNotes")))
ALERT_GROUPS = build_alert_groups(CONTRACTS)
ALERTS = [alert for alerts in ALERT_GROUPS.values() for alert in alerts]


def groups() -> dict[str, list[dict[str, Any]]]:
    return {group["name"]: group["rules"] for group in build_alert_rules(CONTRACTS)["groups"]}


def test_groups_are_recordings_followed_by_the_alerts() -> None:
    assert list(groups()) == ["timeouts", "objectives", *ALERT_GROUPS]
    for name, alerts in ALERT_GROUPS.items():
        assert [rule["alert"] for rule in groups()[name]] == [alert.name for alert in alerts]


def test_timeouts_of_the_contracts_are_recorded() -> None:
    recorded = {(rule["record"], *rule["labels"].items()): rule["expr"] for rule in groups()["timeouts"]}
    assert recorded == {
        ("delivery:operation:timeout_seconds", ("operation", "getNote")): "vector(15)",
        ("delivery:operation:timeout_seconds", ("operation", "updateNote")): "vector(3)",
        ("delivery:operation:timeout_seconds", ("operation", "getLatestNote")): "vector(15)",
        ("delivery:operation:timeout_seconds", ("operation", "receiveCallback")): "vector(15)",
        ("delivery:method:timeout_seconds", ("rpc_method", "delivery.notes.v1.NotesService/GetNote")): "vector(2.5)",
    }


@pytest.mark.parametrize("name", ["OperationHighLatency", "RpcMethodHighLatency"])
def test_latency_is_compared_with_half_of_the_recorded_timeout(name: str) -> None:
    (alert,) = (each for each in ALERTS if each.name == name)
    record, label = re.findall(r"on \((\w+)\) 0\.5 \* (\S+)$", alert.expr)[0][::-1]
    assert (record, label) in {(rule["record"], next(iter(rule["labels"]))) for rule in groups()["timeouts"]}
