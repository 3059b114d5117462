"""Conditions of the alerts on metrics of single services."""

import time
from collections.abc import Callable, Iterator, Mapping

from deploy.local.status.error_counts import add_values, count_errors
from deploy.local.status.metrics_reader import MetricsSnapshot

MAX_PROVIDER_ERROR_RATIO = 0.2
MAX_PARTNER_ERROR_RATIO = 0.5
MAX_REFUND_FAILURE_RATIO = 0.5
MAX_RECONCILIATION_AGE_S = 1800.0

type Condition = Callable[[MetricsSnapshot], Iterator[str]]


def find_provider_problems(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find push and mail providers that are unavailable or reject requests."""
    for (provider,), _ in add_values(snapshot, "delivery_providers_breakers_open", "provider").items():
        yield f"the circuit breaker of {provider} is open; make logs NAMES=notifications"
    counts = count_errors(
        snapshot.samples,
        "delivery_providers_responses_total",
        "provider",
        lambda labels: labels.get("outcome") in ("busy", "unclear"),
    )
    for provider, count in counts.items():
        if count.exceeds(MAX_PROVIDER_ERROR_RATIO):
            yield f"{count.failed:g} of {count.total:g} requests to {provider} failed; make logs NAMES=notifications"


def find_partner_problems(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find partners whose systems are unavailable or fail."""
    for number in add_values(snapshot, "delivery_partners_breakers_open").values():
        yield f"the circuit breakers of {number:g} partners are open; GET /api/v1/partner-calls?status=waiting"
    counts = count_errors(
        snapshot.samples, "delivery_partners_responses_total", "kind", lambda labels: labels.get("outcome") == "failed"
    )
    for kind, count in counts.items():
        if count.exceeds(MAX_PARTNER_ERROR_RATIO):
            yield f"{count.failed:g} of {count.total:g} calls to partners ({kind}) failed; make logs NAMES=partners"


def find_refund_problems(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find refunds that banks reject or do not answer."""
    for number in add_values(snapshot, "delivery_refunds_failed").values():
        yield f"{number:g} refunds have failed; GET /api/v1/refunds?status=failed, then retry or settle them"
    count = count_errors(
        snapshot.samples, "delivery_refunds_attempts_total", "", lambda labels: labels.get("outcome") != "refunded"
    )[""]
    if count.exceeds(MAX_REFUND_FAILURE_RATIO):
        yield f"{count.failed:g} of {count.total:g} refund attempts have failed; GET /api/v1/refunds?status=requested"


def find_reconciliation_problems(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find discrepancies, and a reconciliation that does not complete."""
    discrepancies = add_values(snapshot, "delivery_reconciliation_discrepancies_total", "kind", "outcome")
    for (kind, outcome), number in discrepancies.items():
        yield f"{number:g} discrepancies {kind} were {outcome}; make reconcile"
    last_success = add_values(snapshot, "delivery_reconciliation_last_success_timestamp_seconds").get(())
    if last_success is not None and (age_s := time.time() - last_success) > MAX_RECONCILIATION_AGE_S:
        yield f"no reconciliation has succeeded for {age_s:.0f} s; make reconcile"


SERVICE_CONDITIONS: Mapping[Condition, tuple[str, ...]] = {
    find_provider_problems: ("ProviderCircuitBreakerOpen", "ProviderHighErrorRate"),
    find_partner_problems: ("PartnerCircuitBreakerOpen", "PartnerHighErrorRate"),
    find_refund_problems: ("RefundFailed", "RefundHighFailureRate"),
    find_reconciliation_problems: ("ReconciliationDiscrepancyFound", "ReconciliationStalled"),
}
"""Conditions and the alerts that they stand for."""
