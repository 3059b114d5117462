"""Building blocks of the bootstraps: typed configurations, clusters, listeners, TLS, tracing, access logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codegen.envoy.access_log_filters import build_edge_log_filter, build_error_filter
from codegen.mesh import PLACEHOLDER

type Config = dict[str, Any]

TYPE_URL_PREFIX = "type.googleapis.com/envoy"
JWT_FILTER = "jwt"
RBAC_FILTER = "rbac"
HEALTH_CHECK_PATH = "/grpc.health.v1.Health/Check"
STRIPPED_HEADER_PREFIXES = ("x-jwt-", "x-auth-", "x-envoy-", "x-forwarded-client-cert")
"""Prefixes of headers that only sidecars may set; they are removed from client requests before processing."""

MAX_STREAMS = 2048
"""Maximum number of concurrent response streams per service, which have a circuit breaker of their own."""

APP_HTTP2_OPTIONS = {"hpack_table_size": 0}
"""Options of the connection to an app: no dynamic table, so that no call depends on the headers of another call."""

APP_IDLE_TIMEOUT = "60s"
"""Lifetime of an unused HTTP/1.1 connection to an app, shorter than in the app, so that no request meets its end."""

ROUTE_METADATA_KEY: Config = {"key": PLACEHOLDER, "path": [{"key": "route"}]}
"""Key of the path template in the metadata of a route."""

SCRAPE_INTERVAL = "15s"
"""Interval in which metrics are scraped. Envoy merges its histograms as often; its counters are always up to date."""

REDACTED_SPAN_TAGS = ("http.url", "peer.address", "user_agent")
"""Span tags that Envoy sets by default and that may contain personal data; they are overwritten."""


@dataclass(frozen=True)
class Profile:
    """Target of a bootstrap: a developer's machine, or production."""

    name: str

    @property
    def is_development(self) -> bool:
        """Return whether the operator proxy exists and the sandbox issues tokens."""
        return self.name == "development"


def build_typed_config(message_name: str, **fields: Any) -> Config:
    """Return a typed configuration; `message_name` is the name of the message below `envoy.`."""
    return {"@type": f"{TYPE_URL_PREFIX}.{message_name}", **fields}


def build_extension(name: str, message_name: str, **fields: Any) -> Config:
    """Return a named extension."""
    return {"name": name, "typed_config": build_typed_config(message_name, **fields)}


def build_tcp_address(host: str, port: str) -> Config:
    """Return a TCP address; both arguments may be placeholders."""
    return {"socket_address": {"address": host, "port_value": port}}


def build_unix_address(name: str) -> Config:
    """Return a unix socket in the run directory."""
    return {"pipe": {"path": f"${{RUN_DIR}}/{name}.sock"}}


def build_private_socket(name: str) -> Config:
    """Return a unix socket that only its owner may access."""
    address = build_unix_address(name)
    address["pipe"]["mode"] = 0o600
    return address


def format_placeholder(service: str, setting_name: str) -> str:
    """Return the placeholder of a service's setting: ("loans", "ADMIN_PORT") gives ${LOANS_ADMIN_PORT}."""
    return f"${{{service.upper()}_{setting_name}}}"


def build_http2_options(**http2_options: Any) -> Config:
    """Return the options for upstream HTTP/2."""
    http2_options.setdefault("connection_keepalive", {"interval": "30s", "timeout": "5s"})
    return _build_protocol_options(explicit_http_config={"http2_protocol_options": http2_options})


def build_app_http1_options() -> Config:
    """Return the options for HTTP/1.1 to an app. Without them, Envoy retains an unused connection for an hour."""
    return _build_protocol_options(
        common_http_protocol_options={"idle_timeout": APP_IDLE_TIMEOUT},
        explicit_http_config={"http_protocol_options": {}},
    )


def _build_protocol_options(**options: Any) -> Config:
    name = "extensions.upstreams.http.v3.HttpProtocolOptions"
    return {"typed_extension_protocol_options": {f"envoy.{name}": build_typed_config(name, **options)}}


def build_cluster(name: str, endpoint: Config, *, discovery_type: str = "STATIC", **more: Any) -> Config:
    """Return a cluster with one endpoint. Panic routing to unhealthy hosts is disabled."""
    return {
        "name": name,
        "type": discovery_type,
        "connect_timeout": "1s",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": endpoint}}]}],
        },
        **more,
    }


def build_circuit_breakers(request_thresholds: Config, **common_thresholds: int) -> Config:
    """Return separate thresholds for requests and for streams, so that neither exhausts the limit of the other."""
    common = {"max_pending_requests": 256, **common_thresholds}
    streams = {"priority": "HIGH", "max_connections": MAX_STREAMS, "max_requests": MAX_STREAMS}
    return {
        "circuit_breakers": {
            "thresholds": [{**common, "max_requests": 1024, **request_thresholds}, {**common, **streams}]
        }
    }


def build_app_cluster(service: str) -> Config:
    """Return the cluster of the service's app on its unix socket."""
    protocol = build_app_http1_options() if service == "gateway" else build_http2_options(**APP_HTTP2_OPTIONS)
    return build_cluster(
        "app", build_unix_address(service), **build_circuit_breakers({"max_connections": 256}), **protocol
    )


def build_otlp_cluster() -> Config:
    """Return the cluster of the trace collector."""
    return build_cluster(
        "otlp", build_tcp_address("${OTLP_HOST}", "${OTLP_PORT}"), discovery_type="STRICT_DNS", **build_http2_options()
    )


def format_spiffe_id(trust_domain: str, name: str) -> str:
    """Return the SPIFFE id of a sidecar."""
    return f"spiffe://{trust_domain}/{name}"


def build_secret_reference(name: str) -> Config:
    """Return the reference to a secret: a certificate with its key, or the certificate of the mesh CA.

    Secrets are delivered by SDS from a file, because Envoy watches only these for renewed certificates.
    `deploy/render_bootstrap.py` writes the file beside the sockets.
    """
    source = {"path_config_source": {"path": f"${{RUN_DIR}}/{name}-sds.json"}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def build_tls_context(name: str, peer_validation: Config, alpn_protocols: Sequence[str] = ("h2",)) -> Config:
    """Return a TLS context for TLS 1.3 only, with the certificate of `name`.

    Both version bounds must be set, otherwise every handshake fails.
    """
    return {
        "alpn_protocols": list(alpn_protocols),
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [build_secret_reference(name)],
        **peer_validation,
    }


def build_peer_validation_context(san_matcher: Config) -> Config:
    """Accept peers with a certificate of the mesh CA and a matching SPIFFE id."""
    sans = [{"san_type": "URI", "matcher": san_matcher}]
    return {
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": sans},
            "validation_context_sds_secret_config": build_secret_reference("ca"),
        }
    }


def build_span_description(operation: str, route: str) -> Config:
    """Return the parts of a route that name its spans, and the path template that they record."""
    return {
        "decorator": {"operation": operation, "propagate": False},
        "metadata": {"filter_metadata": {ROUTE_METADATA_KEY["key"]: {"route": route}}},
    }


def build_tracing_config(service: str, percent: str) -> Config:
    """Return the tracing configuration. The edge decides on sampling; inner hops follow their parent span."""
    provider = build_extension(
        "envoy.tracers.opentelemetry",
        "config.trace.v3.OpenTelemetryConfig",
        service_name=f"{service}-envoy",
        grpc_service={"envoy_grpc": {"cluster_name": "otlp"}, "timeout": "1s"},
    )
    span_tags = {
        "http.request.method": "%REQ(:METHOD)%",
        "http.response.status_code": "%RESPONSE_CODE%",
        "url.scheme": "%REQ(:SCHEME)%",
        "network.protocol.name": "http",
        **dict.fromkeys(REDACTED_SPAN_TAGS, "-"),
    }
    # The route stands for the path, which may contain personal data.
    route = {"kind": {"route": {}}, "metadata_key": ROUTE_METADATA_KEY, "default_value": "-"}
    return {
        "custom_tags": [
            *({"tag": tag, "metadata": route} for tag in ("http.route", "url.path")),
            *({"tag": tag, "value": value} for tag, value in span_tags.items()),
        ],
        "max_path_tag_length": 0,
        "random_sampling": {"value": percent},
        "client_sampling": {"value": 0},
        "spawn_upstream_span": True,
        "provider": provider,
    }


def build_access_log_config(name: str) -> list[Config]:
    """Return the access log: one JSON line for every 5xx response, and at the edge also for others.

    Path, query, address and client headers are omitted because they may contain personal data.
    """
    fields = {
        "time": "%START_TIME%",
        "logger": f"access.{name}",
        "operation": "%ROUTE_NAME%",
        "method": "%REQ(:METHOD)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "upstream": "%UPSTREAM_CLUSTER%",
        "milliseconds": "%DURATION%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "trace_id": "%TRACE_ID%",
    }
    message_name = "extensions.access_loggers.stream.v3.StdoutAccessLog"
    log_filter = build_edge_log_filter() if name == "edge" else build_error_filter()
    return [build_extension("stdout", message_name, log_format={"json_format": fields}) | {"filter": log_filter}]


def strip_headers(*more: str, suffixes: Sequence[str] = ()) -> list[Config]:
    """Remove internal headers from client requests before routing, authentication and tracing."""
    removed = [
        {"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}}
        for prefix in STRIPPED_HEADER_PREFIXES
    ]
    suffixed = [{"remove_on_match": {"key_matcher": {"suffix": suffix, "ignore_case": True}}} for suffix in suffixes]
    named = [{"remove": name} for name in more]
    message_name = "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return [build_extension("strip", message_name, mutations=[*removed, *suffixed, *named])]


def build_router() -> Config:
    """Return the last filter, which forwards the request.

    It does not count codes and durations of each cluster: those of the listeners, and of the RPC methods in the
    metrics of the services, are the same, and the names of these statistics are composed in every request.
    """
    message_name = "extensions.filters.http.router.v3.Router"
    return build_extension("router", message_name, suppress_envoy_headers=True, dynamic_stats=False)


def build_http_connection_manager(name: str, filters: list[Config], routes: Config, **more: Any) -> Config:
    """Return an HTTP connection manager with strict handling of paths and headers."""
    return build_extension(
        "http",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        common_http_protocol_options={"headers_with_underscores_action": "REJECT_REQUEST", "idle_timeout": "300s"},
        request_headers_timeout="10s",
        server_header_transformation="PASS_THROUGH",
        access_log=build_access_log_config(name),
        http_filters=[
            *filters,
            build_router(),
        ],
        route_config={"name": name, **routes},
        **more,
    )


def build_listener(
    name: str, bind_address: Config, manager: Config, transport_socket: Config | None = None, **more: Any
) -> Config:
    """Return a listener with one filter chain, which closes connections that do not finish a TLS handshake."""
    tls = {"transport_socket": transport_socket} if transport_socket else {}
    chain = {"filters": [manager], "transport_socket_connect_timeout": "10s", **tls}
    return {"name": name, "address": bind_address, "filter_chains": [chain], **more}


def build_bootstrap(service: str, listeners: list[Config], clusters: list[Config], admin_address: Config) -> Config:
    """Return the bootstrap. The admin interface is limited to the paths that operators need."""
    paths = [
        {"exact": "/ready"},
        *({"prefix": path} for path in ("/stats", "/clusters", "/config_dump", "/healthcheck/", "/drain_listeners")),
    ]
    runtime = {"tracing.opentelemetry.flush_interval_ms": 1000}
    # By default, Envoy wakes up each thread several times a second to check that it is not blocked.
    watchdog = {"miss_timeout": "5s", "megamiss_timeout": "10s"}
    return {
        "node": {"id": service, "cluster": PLACEHOLDER},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": runtime}]},
        "admin": {
            "address": admin_address,
            "allow_paths": paths,
        },
        "static_resources": {"listeners": listeners, "clusters": clusters},
        "stats_flush_interval": SCRAPE_INTERVAL,
        "watchdogs": {"main_thread_watchdog": watchdog, "worker_watchdog": watchdog},
        "application_log_config": {
            "log_format": {
                "json_format": {"time": "%Y-%m-%dT%T.%e%z", "level": "%l", "logger": "envoy.%n", "message": "%j"}
            }
        },
    }
