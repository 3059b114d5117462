"""Rules file of Prometheus: recorded timeouts and error ratios, and the alerts."""

from codegen.contracts import Contracts
from codegen.envoy.common import Config
from codegen.observability.alerts import ALERT_GROUPS, METHOD_TIMEOUT_METRIC, OPERATION_TIMEOUT_METRIC
from codegen.observability.objectives import iter_recording_rules
from codegen.observability.promql import get_method_timeouts_s, get_operation_timeouts_s


def build_alert_rules(contracts: Contracts) -> Config:
    """Return the rules file; its first groups record timeouts of the contracts and error ratios of objectives."""
    timeout_rules = [
        {"record": record, "expr": f"vector({seconds:g})", "labels": {label: name}}
        for record, label, timeouts_s in (
            (OPERATION_TIMEOUT_METRIC, "operation", get_operation_timeouts_s(contracts)),
            (METHOD_TIMEOUT_METRIC, "rpc_method", get_method_timeouts_s(contracts)),
        )
        for name, seconds in timeouts_s.items()
    ]
    groups = [
        {"name": name, "rules": [alert.to_rule() for alert in group_alerts()]}
        for name, group_alerts in ALERT_GROUPS.items()
    ]
    recording_groups = [
        {"name": "timeouts", "rules": timeout_rules},
        {"name": "objectives", "rules": list(iter_recording_rules(contracts))},
    ]
    return {"groups": [*recording_groups, *groups]}
