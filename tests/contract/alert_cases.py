"""Time series for every alert, one sample a minute: healthy at first, then with the condition of the alert."""

from typing import NamedTuple

EDGE = 'envoy_http_conn_manager_prefix="edge",job="envoy",service="gateway"'
REQUEST = 'http_server_request_duration_seconds_{part}{{job="delivery",operation="{name}",service="gateway"{more}}}'
CALL = 'rpc_server_call_duration_seconds_{part}{{job="delivery",rpc_method="{name}",service="orders"{more}}}'
PROCESSED = "messaging_process_duration_seconds_count"
GET_ORDER = "delivery.orders.v1.OrdersService/GetOrder"

CONSTANT_RATE = "0+60x60"
FROM_TEN = "0x10 0+30x50"
UNTIL_TEN = "0+60x10 600x50"


class Case(NamedTuple):
    """Series with samples in promtool's notation, and the minutes in which the alert is inactive and firing."""

    series: dict[str, str]
    inactive_minute: int = 10
    firing_minute: int = 40


def slow_requests(template: str, name: str) -> dict[str, str]:
    """Return a histogram: all durations below 1 s for ten minutes, then all between 7.5 s and 10 s."""
    bounds = {"1": UNTIL_TEN, "7.5": UNTIL_TEN, "10": CONSTANT_RATE, "+Inf": CONSTANT_RATE}
    return {
        template.format(part="bucket", name=name, more=f',le="{bound}"'): samples for bound, samples in bounds.items()
    }


def success_and_failure_counters(name: str, success: str, failure: str) -> dict[str, str]:
    """Return counters: one success per second, and from the tenth minute a failure every other second."""
    return {f"{name}{{{success}}}": CONSTANT_RATE, f"{name}{{{failure}}}": FROM_TEN}


def fail_at_the_edge(successes: str, failures: str) -> dict[str, str]:
    """Return the counters of successful requests and of server errors at the edge."""
    counter = "envoy_http_downstream_rq_xx"
    return {
        f'{counter}{{envoy_response_code_class="2",{EDGE}}}': successes,
        f'{counter}{{envoy_response_code_class="5",{EDGE}}}': failures,
    }


def slow_down_requests(requests: str, fast_requests: str, operation: str = "confirmOrder") -> dict[str, str]:
    """Return the counters of all requests, and of those within half a second."""
    return {
        REQUEST.format(part="count", name=operation, more=""): requests,
        REQUEST.format(part="bucket", name=operation, more=',le="0.5"'): fast_requests,
    }


CASES = {
    "ServiceDown": Case({'up{job="delivery",service="orders"}': "1x10 0x50"}),
    "SidecarDown": Case({'up{job="envoy",service="orders"}': "1x10 0x50"}),
    "UpstreamUnhealthy": Case(
        {
            'envoy_cluster_membership_healthy{envoy_cluster_name="orders",service="gateway"}': "1x10 0x50",
            'envoy_cluster_membership_total{envoy_cluster_name="orders",service="gateway"}': "1x60",
        }
    ),
    "CircuitBreakerOpen": Case(
        {'envoy_cluster_circuit_breakers_default_rq_open{envoy_cluster_name="app",service="orders"}': "0x10 1x50"}
    ),
    "CertificateExpiring": Case(
        {'envoy_server_days_until_first_cert_expiring{service="orders"}': "15x10 13x110"}, firing_minute=80
    ),
    "JwksFetchFailing": Case(
        {
            f"envoy_http_jwt_authn_jwks_fetch_failed{{{EDGE}}}": "0x10 0+1x50",
            f"envoy_http_jwt_authn_jwks_fetch_success{{{EDGE}}}": "0+1x10 10x50",
        }
    ),
    "EdgeHighErrorRate": Case(fail_at_the_edge(CONSTANT_RATE, FROM_TEN)),
    "EdgeAvailabilityFastBurn": Case(fail_at_the_edge(CONSTANT_RATE, FROM_TEN)),
    "EdgeAvailabilitySlowBurn": Case(fail_at_the_edge(CONSTANT_RATE, FROM_TEN)),
    "EdgeLatencyFastBurn": Case(slow_down_requests(CONSTANT_RATE, UNTIL_TEN)),
    "EdgeLatencySlowBurn": Case(slow_down_requests(CONSTANT_RATE, UNTIL_TEN)),
    "OperationHighErrorRate": Case(
        {
            REQUEST.format(part="count", name="confirmOrder", more=',http_response_status_code="201"'): CONSTANT_RATE,
            REQUEST.format(part="count", name="confirmOrder", more=',http_response_status_code="503"'): FROM_TEN,
        }
    ),
    "OperationHighLatency": Case(slow_requests(REQUEST, "confirmOrder")),
    "RpcMethodHighErrorRate": Case(
        {
            CALL.format(part="count", name=GET_ORDER, more=',rpc_response_status_code="OK"'): CONSTANT_RATE,
            CALL.format(part="count", name=GET_ORDER, more=',rpc_response_status_code="UNAVAILABLE"'): FROM_TEN,
        }
    ),
    "RpcMethodHighLatency": Case(slow_requests(CALL, GET_ORDER)),
    "OutboxLag": Case({'delivery_outbox_lag_seconds{service="orders"}': "0x10 40x50"}),
    "UnroutableEvents": Case(
        {'delivery_outbox_unroutable_events_total{event="orders.paid",service="orders"}': "0x39 1x20"}
    ),
    "DatabaseUnavailable": Case(
        {
            'up{job="delivery",service="orders"}': "1x60",
            'delivery_outbox_pending_events{job="delivery",service="orders"}': "0x10 stale",
        }
    ),
    "BrokerUnavailable": Case(
        {
            'up{job="delivery",service="orders"}': "1x60",
            'delivery_broker_connected{job="delivery",service="orders"}': "1x10 0x50",
        }
    ),
    "QueueBacklog": Case({'delivery_queue_messages{queue="orders.history",service="orders"}': "1000x10 1001x50"}),
    "ConsumerHighRetryRate": Case(
        success_and_failure_counters(
            PROCESSED,
            'queue="orders.history",event="orders.paid",outcome="consumed"',
            'queue="orders.history",event="orders.paid",outcome="waiting"',
        )
    ),
    "DeadLetters": Case({'delivery_queue_dead_letters{queue="orders.history",service="orders"}': "0x10 1x50"}),
    "QueueMissing": Case({'delivery_queues_missing_total{queue="orders.history",service="orders"}': "0x39 1x20"}),
    "UndecodableJobs": Case(
        {'delivery_jobs_undecodable_total{kind="refund",outcome="failed",service="orders"}': "0x39 1x20"}
    ),
    "SystemAlert": Case({'messaging_client_sent_messages_total{event="system.alert",service="orders"}': "0x39 1x20"}),
    "ProviderCircuitBreakerOpen": Case({'delivery_providers_breakers_open{provider="fcm"}': "0x10 1x50"}),
    "ProviderHighErrorRate": Case(
        success_and_failure_counters(
            "delivery_providers_responses_total",
            'provider="fcm",outcome="accepted"',
            'provider="fcm",outcome="busy"',
        )
    ),
    "PartnerCircuitBreakerOpen": Case({"delivery_partners_breakers_open": "0x10 1x50"}),
    "PartnerHighErrorRate": Case(
        {
            'delivery_partners_responses_total{kind="order",outcome="accepted"}': UNTIL_TEN,
            'delivery_partners_responses_total{kind="order",outcome="failed"}': FROM_TEN,
        }
    ),
    "RefundHighFailureRate": Case(
        {
            'delivery_refunds_attempts_total{outcome="refunded"}': UNTIL_TEN,
            'delivery_refunds_attempts_total{outcome="failed"}': FROM_TEN,
        }
    ),
    "RefundFailed": Case({'delivery_refunds_failed{job="delivery",service="orders"}': "0x39 1x20"}),
    "ReconciliationDiscrepancyFound": Case(
        {'delivery_reconciliation_discrepancies_total{kind="HISTORY_MISSING",outcome="repaired"}': "0x39 1x20"}
    ),
    "ReconciliationStalled": Case(
        {'delivery_reconciliation_last_success_timestamp_seconds{job="delivery",service="orders"}': "0+60x5 300x60"},
        firing_minute=50,
    ),
}

INACTIVE_SERIES = {
    "OperationHighLatency": slow_requests(REQUEST, "watchOrder"),
    "OperationHighErrorRate": {
        REQUEST.format(part="count", name="confirmOrder", more=',http_response_status_code="422"'): CONSTANT_RATE,
        REQUEST.format(part="count", name="confirmOrder", more=',http_response_status_code="503"'): "0x10 1x50",
    },
    "RpcMethodHighErrorRate": {
        CALL.format(part="count", name=GET_ORDER, more=',rpc_response_status_code="NOT_FOUND"'): CONSTANT_RATE
    },
    "EdgeAvailabilityFastBurn": fail_at_the_edge("0+1x60", "0x49 2x11"),
    "EdgeLatencyFastBurn": slow_down_requests(CONSTANT_RATE, "0x60", operation="watchOrder"),
    "QueueBacklog": {'delivery_queue_messages{queue="orders.retry.5s",service="orders"}': "5000x60"},
}
"""Series that raise no alert: long streams, client errors, few server errors, messages in a retry queue."""
