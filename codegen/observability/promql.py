"""PromQL expressions, and data of the contracts that they use."""

from collections.abc import Iterator, Mapping

from codegen.contracts import Contracts
from codegen.envoy.edge import DEFAULT_TIMEOUT, EVENT_STREAM_MEDIA_TYPE
from codegen.protobuf import Method
from codegen.rest.operations import iter_operations

HTTP_SERVER_DURATION = "http_server_request_duration_seconds"
RPC_SERVER_DURATION = "rpc_server_call_duration_seconds"
EVENT_PROCESS_DURATION = "messaging_process_duration_seconds"
EVENTS_PUBLISHED = "messaging_client_sent_messages_total"
HTTP_STATUS_LABEL = "http_response_status_code"
RPC_STATUS_LABEL = "rpc_response_status_code"
DATABASE_DURATION = "db_client_operation_duration_seconds"
EDGE_SELECTOR = 'envoy_http_conn_manager_prefix="edge"'

SERVER_ERROR_CODES = "UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"
"""Status codes of server errors, as a regular expression."""


def iter_rpc_methods(contracts: Contracts) -> Iterator[Method]:
    """Yield all RPC methods."""
    for service in contracts.protos.services:
        yield from service.methods


def get_operation_timeouts_s(contracts: Contracts) -> Mapping[str, float]:
    """Return the timeout of each operation at the edge; event streams have none and are omitted."""
    return {
        operation.id: float(str(operation.raw.get("x-timeout", DEFAULT_TIMEOUT)).removesuffix("s"))
        for operation in iter_operations(contracts, contracts.name)
        if EVENT_STREAM_MEDIA_TYPE not in operation.content
    }


def list_event_streams(contracts: Contracts) -> list[str]:
    """Return the operations that respond with an event stream, which remains open."""
    return [
        operation.id
        for operation in iter_operations(contracts, contracts.name)
        if EVENT_STREAM_MEDIA_TYPE in operation.content
    ]


def get_method_timeouts_s(contracts: Contracts) -> Mapping[str, float]:
    """Return the timeout of each RPC method, without streams."""
    return {
        method.path.removeprefix("/"): method.timeout_s
        for method in iter_rpc_methods(contracts)
        if method.timeout_s is not None and not method.is_streaming
    }


def list_consumed_queues(contracts: Contracts) -> list[str]:
    """Return the names of all queues, without priority queues."""
    return sorted({queue for event in contracts.protos.events for queue in event.queues})


def render_error_ratio(metric: str, error_selector: str, label: str, window: str = "5m") -> str:
    """Return the expression of the ratio of errors, by a label."""
    return (
        f"sum by ({label}) (rate({metric}{{{error_selector}}}[{window}])) / sum by ({label}) (rate({metric}[{window}]))"
    )


def render_error_ratio_above(metric: str, error_selector: str, label: str, threshold: float) -> str:
    """Return the condition that the error ratio exceeds the threshold.

    It also requires more than three errors in five minutes, so that a single error at low traffic raises no alert.
    """
    errors = f"sum by ({label}) (increase({metric}{{{error_selector}}}[5m]))"
    return f"{render_error_ratio(metric, error_selector, label)} > {threshold:g} and {errors} > 3"


def render_quantile(q: float, metric: str, label: str, window: str = "5m") -> str:
    """Return the expression of a histogram quantile, by a label."""
    return f"histogram_quantile({q}, sum by ({label}, le) (rate({metric}_bucket[{window}])))"
