"""Overload of the gateway: bounded queues in front of the app, priority of callbacks, and limits of the edge's Envoy.

A request that finds its queue full is answered with 503 and `Retry-After` at once, so that the app works only on
requests whose clients still wait. Most reads are rejected before their token is verified, which is most of the cost.
"""

from codegen.envoy.common import Config, build_app_cluster, build_extension, build_typed_config
from codegen.envoy.request_bodies import is_upload
from codegen.rest.operations import EVENT_STREAM_MEDIA_TYPE, Operation

CALLBACK_CLUSTER, UPLOAD_CLUSTER = "callbacks", "uploads"
CALLBACK_SCHEME = "webhook"
"""Security scheme of callbacks from other systems."""

LIMITS: dict[str, Config] = {
    "app": {"max_connections": 96, "max_pending_requests": 64},
    CALLBACK_CLUSTER: {"max_connections": 64, "max_pending_requests": 192},
    UPLOAD_CLUSTER: {"max_connections": 32, "max_pending_requests": 8},
}
"""Concurrent requests of the app by cluster, and length of the queue in front of it.

Reads have at most 160 requests in the system: 0.6 s at 276 requests per second, the capacity of one gateway.
"""

CONCURRENCY_FILTER = "adaptive_concurrency"
TARGET_READ_LATENCY = "0.2s"
"""Median latency of reads beyond which fewer are admitted."""
MIN_CONCURRENT_READS = 64
"""Number of reads that are admitted at any latency. The maximum is that of the cluster `app`."""

CONCURRENCY_UPDATE_INTERVAL = "0.5s"
"""Interval in which the limit follows the latency. Each listener wakes up Envoy so often, also without requests."""

MAX_DOWNSTREAM_CONNECTIONS = 8192
MAX_HEAP_BYTES = 288 * 2**20
"""Below EDGE_MEMORY_MIB of the container. The 2,048 event streams of a gateway take 200 MiB."""

HEAP_CHECK_INTERVAL = "1s"

_HEAP_MONITOR = "envoy.resource_monitors.fixed_heap"
_THRESHOLDS = {
    "envoy.overload_actions.shrink_heap": 0.85,
    "envoy.overload_actions.disable_http_keepalive": 0.9,
    "envoy.overload_actions.stop_accepting_requests": 0.95,
    "envoy.overload_actions.stop_accepting_connections": 0.98,
}
"""Share of the heap at which each action begins."""

_IDLE_TIMEOUT_RANGE = 0.5, 0.85
"""Shares of the heap between which the timeout of idle connections decreases to MIN_IDLE_TIMEOUT."""

MIN_IDLE_TIMEOUT = "2s"


def build_concurrency_filter() -> Config:
    """Return the filter that limits concurrent reads by their latency, and is disabled by default."""
    extension = build_extension(
        CONCURRENCY_FILTER,
        "extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency",
        gradient_controller_config={
            "sample_aggregate_percentile": {"value": 50},
            "concurrency_limit_params": {
                "max_concurrency_limit": sum(LIMITS["app"].values()),
                "concurrency_update_interval": CONCURRENCY_UPDATE_INTERVAL,
            },
            "min_rtt_calc_params": {"fixed_value": TARGET_READ_LATENCY, "min_concurrency": MIN_CONCURRENT_READS},
        },
    )
    return extension | {"disabled": True}


def configure_concurrency(operation: Operation) -> Config:
    """Enable the limit of concurrent reads for the route of a read.

    Other methods are excluded, because a client that does not finish its body would occupy the limit, and so would an
    event stream.
    """
    if operation.method != "GET" or EVENT_STREAM_MEDIA_TYPE in operation.content:
        return {}
    return {CONCURRENCY_FILTER: build_typed_config("config.route.v3.FilterConfig", config={})}


def get_cluster(operation: Operation) -> str:
    """Return the cluster of an operation. Callbacks and uploads have connections and queues of their own."""
    if operation.scheme == CALLBACK_SCHEME:
        return CALLBACK_CLUSTER
    return UPLOAD_CLUSTER if is_upload(operation) else "app"


def build_gateway_clusters() -> list[Config]:
    """Return the clusters of the gateway's app. Only `app` also has event streams, with priority HIGH."""
    clusters = []
    for name, limits in LIMITS.items():
        cluster = build_app_cluster("gateway")
        _, *streams = cluster["circuit_breakers"]["thresholds"]
        thresholds = [{**limits, "max_requests": sum(limits.values())}, *(streams if name == "app" else [])]
        assignment = cluster["load_assignment"] | {"cluster_name": name}
        clusters.append(
            cluster | {"name": name, "load_assignment": assignment, "circuit_breakers": {"thresholds": thresholds}}
        )
    return clusters


def build_overload_manager() -> Config:
    """Return the overload manager of the edge: maximum memory and connections, and what happens close to them."""
    heap, connections = (
        build_extension(
            _HEAP_MONITOR,
            "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
            max_heap_size_bytes=MAX_HEAP_BYTES,
        ),
        build_extension(
            "envoy.resource_monitors.global_downstream_max_connections",
            "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            max_active_downstream_connections=MAX_DOWNSTREAM_CONNECTIONS,
        ),
    )
    return {
        "refresh_interval": HEAP_CHECK_INTERVAL,
        "resource_monitors": [heap, connections],
        "actions": [
            build_idle_timeout_action(),
            *(
                {"name": action, "triggers": [{"name": _HEAP_MONITOR, "threshold": {"value": share}}]}
                for action, share in _THRESHOLDS.items()
            ),
        ],
    }


def build_idle_timeout_action() -> Config:
    """Return the action that closes idle connections the sooner, the fuller the heap is.

    A connection that has sent a request takes 27 KiB, so that those of one client could fill the heap.
    """
    start, end = _IDLE_TIMEOUT_RANGE
    factor = {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": MIN_IDLE_TIMEOUT}
    config = build_typed_config("config.overload.v3.ScaleTimersOverloadActionConfig", timer_scale_factors=[factor])
    return {
        "name": "envoy.overload_actions.reduce_timeouts",
        "triggers": [{"name": _HEAP_MONITOR, "scaled": {"scaling_threshold": start, "saturation_threshold": end}}],
        "typed_config": config,
    }
