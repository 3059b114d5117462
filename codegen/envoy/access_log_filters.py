"""Filters that select the requests of the access log."""

from typing import Any

DENIED_STATUSES = (401, 403)
"""Statuses of rejected credentials and missing rights. Rate limits bound their number."""


def build_error_filter() -> dict[str, Any]:
    """Return the filter that selects server errors."""
    return _build_status_filter("GE", 500)


def build_edge_log_filter() -> dict[str, Any]:
    """Return the filter that selects server errors, denied requests and a sample of the others."""
    sampled = {"runtime_key": "access_log.percent", "percent_sampled": {"numerator": "${ACCESS_LOG_PERCENT}"}}
    denied = [_build_status_filter("EQ", status) for status in DENIED_STATUSES]
    return {"or_filter": {"filters": [build_error_filter(), *denied, {"runtime_filter": sampled}]}}


def _build_status_filter(op: str, status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": f"access_log.status_{status}"}
    return {"status_code_filter": {"comparison": {"op": op, "value": value}}}
