"""For every alert what Prometheus sees, a sample a minute: nothing wrong at first, then what the alert is there for."""

from typing import NamedTuple

EDGE = 'envoy_http_conn_manager_prefix="edge",job="envoy",service="gateway"'
REQUEST = 'http_server_request_duration_seconds_{part}{{job="delivery",operation="{of}",service="gateway"{more}}}'
CALL = 'rpc_server_call_duration_seconds_{part}{{job="delivery",rpc_method="{of}",service="orders"{more}}}'
GET_ORDER = "delivery.orders.v1.OrdersService/GetOrder"

ALL_ALONG = "0+60x60"
FROM_TEN = "0x10 0+30x50"
UP_TO_TEN = "0+60x10 600x50"


class Case(NamedTuple):
    """Series and their samples in promtool's notation; the alert is silent at one minute and fires at another."""

    series: dict[str, str]
    silent: int = 10
    fires: int = 40


def slow(template: str, of: str) -> dict[str, str]:
    """All under a second for ten minutes, then all between seven and ten."""
    bounds = {"1": UP_TO_TEN, "7.5": UP_TO_TEN, "10": ALL_ALONG, "+Inf": ALL_ALONG}
    return {template.format(part="bucket", of=of, more=f',le="{bound}"'): samples for bound, samples in bounds.items()}


def counted(name: str, good: str, bad: str) -> dict[str, str]:
    """A good one a second all along, and a bad one every other second from the tenth minute on."""
    return {f"{name}{{{good}}}": ALL_ALONG, f"{name}{{{bad}}}": FROM_TEN}


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
        {'envoy_server_days_until_first_cert_expiring{service="orders"}': "15x10 13x110"}, fires=80
    ),
    "JwksFetchFailing": Case(
        {
            f"envoy_http_jwt_authn_jwks_fetch_failed{{{EDGE}}}": "0x10 0+1x50",
            f"envoy_http_jwt_authn_jwks_fetch_success{{{EDGE}}}": "0+1x10 10x50",
        }
    ),
    "EdgeHighErrorRate": Case(
        {
            f'envoy_http_downstream_rq_xx{{envoy_response_code_class="2",{EDGE}}}': ALL_ALONG,
            f'envoy_http_downstream_rq_xx{{envoy_response_code_class="5",{EDGE}}}': FROM_TEN,
        }
    ),
    "OperationHighErrorRate": Case(
        {
            REQUEST.format(part="count", of="confirmOrder", more=',http_response_status_code="201"'): ALL_ALONG,
            REQUEST.format(part="count", of="confirmOrder", more=',http_response_status_code="503"'): FROM_TEN,
        }
    ),
    "OperationHighLatency": Case(slow(REQUEST, "confirmOrder")),
    "RpcMethodHighErrorRate": Case(
        {
            CALL.format(part="count", of=GET_ORDER, more=',rpc_response_status_code="OK"'): ALL_ALONG,
            CALL.format(part="count", of=GET_ORDER, more=',rpc_response_status_code="UNAVAILABLE"'): FROM_TEN,
        }
    ),
    "RpcMethodHighLatency": Case(slow(CALL, GET_ORDER)),
    "OutboxLag": Case({'delivery_outbox_lag_seconds{service="orders"}': "0x10 40x50"}),
    "DatabaseUnavailable": Case(
        {
            'up{job="delivery",service="orders"}': "1x60",
            'delivery_outbox_pending_events{job="delivery",service="orders"}': "0x10 stale",
        }
    ),
    "BrokerUnavailable": Case(
        {
            'up{job="delivery",service="orders"}': "1x60",
            'delivery_queue_messages{queue="orders.history",job="delivery",service="orders"}': "0x10 stale",
        }
    ),
    "QueueBacklog": Case({'delivery_queue_messages{queue="orders.history",service="orders"}': "1000x10 1001x50"}),
    "ConsumerHighRetryRate": Case(
        counted(
            "delivery_events_process_duration_seconds_count",
            'queue="orders.history",event="orders.paid",outcome="consumed"',
            'queue="orders.history",event="orders.paid",outcome="waiting"',
        )
    ),
    "DeadLetters": Case({'delivery_queue_dead_letters{queue="orders.history",service="orders"}': "0x10 1x50"}),
    "SystemAlert": Case({'delivery_events_published_total{event="system.alert",service="orders"}': "0x39 1x20"}),
    "ProviderCircuitBreakerOpen": Case({'delivery_providers_breakers_open{provider="fcm"}': "0x10 1x50"}),
    "ProviderHighErrorRate": Case(
        counted(
            "delivery_providers_responses_total",
            'provider="fcm",outcome="accepted"',
            'provider="fcm",outcome="busy"',
        )
    ),
    "PartnerCircuitBreakerOpen": Case({"delivery_partners_breakers_open": "0x10 1x50"}),
    "PartnerHighErrorRate": Case(
        {
            'delivery_partners_responses_total{kind="order",outcome="accepted"}': UP_TO_TEN,
            'delivery_partners_responses_total{kind="order",outcome="failed"}': FROM_TEN,
        }
    ),
    "RefundHighFailureRate": Case(
        {
            'delivery_refunds_attempts_total{outcome="refunded"}': UP_TO_TEN,
            'delivery_refunds_attempts_total{outcome="failed"}': FROM_TEN,
        }
    ),
    "RefundFailed": Case({'delivery_events_published_total{event="payments.refund_failed"}': "0x39 1x20"}),
    "ReconciliationDiscrepancyFound": Case(
        {'delivery_reconciliation_discrepancies_total{kind="HISTORY_MISSING",outcome="repaired"}': "0x39 1x20"}
    ),
}

NEVER = {
    "OperationHighLatency": slow(REQUEST, "watchOrder"),
    "OperationHighErrorRate": {
        REQUEST.format(part="count", of="confirmOrder", more=',http_response_status_code="422"'): ALL_ALONG,
        REQUEST.format(part="count", of="confirmOrder", more=',http_response_status_code="503"'): "0x10 1x50",
    },
    "RpcMethodHighErrorRate": {
        CALL.format(part="count", of=GET_ORDER, more=',rpc_response_status_code="NOT_FOUND"'): ALL_ALONG
    },
    "QueueBacklog": {'delivery_queue_messages{queue="delivery.retry.5s",service="gateway"}': "5000x60"},
}
"""What raises no alarm: a stream that lasts, clients' mistakes, a single mishap, messages that are meant to wait."""
