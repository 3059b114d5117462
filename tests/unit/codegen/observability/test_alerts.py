"""Alerts: severities, summaries and expressions, which tests/contract/test_observability.py runs with promtool."""

import re
from collections import Counter

import pytest

from codegen.observability.alerts import Alert, build_alert_groups
from tests.unit.codegen.sample_contracts import create_contracts

ALERTS = [alert for alerts in build_alert_groups(create_contracts()).values() for alert in alerts]
RUNBOOK_URL = "https://docs.notes.example/runbook"


@pytest.mark.parametrize(("is_critical", "severity"), [(True, "critical"), (False, "warning")])
def test_rule_has_severity_summary_and_runbook_section(is_critical: bool, severity: str) -> None:
    alert = Alert("NotesLost", "notes_lost > 0", "5m", "Notes are lost.", is_critical=is_critical)
    assert alert.to_rule(RUNBOOK_URL) == {
        "alert": "NotesLost",
        "expr": "notes_lost > 0",
        "for": "5m",
        "labels": {"severity": severity},
        "annotations": {"summary": "Notes are lost.", "runbook_url": f"{RUNBOOK_URL}#noteslost"},
    }


def test_alert_is_not_critical_by_default() -> None:
    assert not Alert("NotesLost", "notes_lost > 0", "5m", "Notes are lost.").is_critical


def test_alerts_on_lost_requests_events_or_money_are_critical() -> None:
    assert {alert.name for alert in ALERTS if alert.is_critical} == {
        *("ServiceDown", "SidecarDown", "UpstreamUnhealthy", "UnroutableEvents", "QueueMissing"),
        *("EdgeHighErrorRate", "OperationHighErrorRate"),
        *("EdgeAvailabilityFastBurn", "EdgeLatencyFastBurn"),
        *("OutboxLag", "DatabaseUnavailable", "BrokerUnavailable"),
        *("DeadLetters", "UndecodableJobs", "SystemAlert", "RefundFailed"),
    }


def test_alert_names_and_runbook_sections_are_unique() -> None:
    sections = Counter(alert.to_rule(RUNBOOK_URL)["annotations"]["runbook_url"] for alert in ALERTS)
    assert set(sections.values()) == {1}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alert_has_a_duration_and_a_sentence_as_summary(alert: Alert) -> None:
    assert re.fullmatch(r"\d+[mh]", alert.for_duration)
    assert re.fullmatch(r"[A-Z{].*\.", alert.summary)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_expression_has_balanced_brackets(alert: Alert) -> None:
    for opening, closing in ("()", "{}", "[]"):
        assert alert.expr.count(opening) == alert.expr.count(closing)


def grouping_labels(expression: str) -> set[str]:
    """Return the labels of the last aggregation; empty if the expression aggregates without labels."""
    groupings = re.findall(r"\b(?:sum|max|count)(?: by \(([^)]*)\))? ?\(", expression)
    return set(re.split(r", ?", groupings[-1])) - {"le"} if groupings else set()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_summary_uses_only_labels_of_the_expression(alert: Alert) -> None:
    """An aggregation removes all labels except those of its `by` clause."""
    used = set(re.findall(r"\$labels\.(\w+)", alert.summary))
    if re.search(r"\bsum\b", alert.expr):
        assert used <= grouping_labels(alert.expr)
