"""Rules file of Prometheus: recorded timeouts and error ratios, and the alerts."""

from codegen.contracts import Contracts
from codegen.envoy.common import Config
from codegen.mesh import insert_name
from codegen.naming import format_seconds
from codegen.observability.alerts import METHOD_TIMEOUT_METRIC, OPERATION_TIMEOUT_METRIC, build_alert_groups
from codegen.observability.objectives import get_specification, iter_recording_rules
from codegen.observability.promql import get_method_timeouts_s, get_operation_timeouts_s


def build_alert_rules(contracts: Contracts) -> Config:
    """Return the rules file; its first groups record timeouts of the contracts and error ratios of objectives."""
    timeout_rules = [
        {
            "record": insert_name(record, contracts.name),
            "expr": f"vector({format_seconds(seconds)})",
            "labels": {label: name},
        }
        for record, label, timeouts_s in (
            (OPERATION_TIMEOUT_METRIC, "operation", get_operation_timeouts_s(contracts)),
            (METHOD_TIMEOUT_METRIC, "rpc_method", get_method_timeouts_s(contracts)),
        )
        for name, seconds in timeouts_s.items()
    ]
    runbook_url = get_specification(contracts).runbook_url
    groups = [
        {"name": name, "rules": [alert.to_rule(runbook_url) for alert in alerts]}
        for name, alerts in build_alert_groups(contracts).items()
    ]
    recording_groups = [
        {"name": "timeouts", "rules": timeout_rules},
        {"name": "objectives", "rules": list(iter_recording_rules(contracts))},
    ]
    return {"groups": [*recording_groups, *groups]}
