"""What the contracts say of operations and methods, as expressions over metrics need it."""

from collections.abc import Iterator, Mapping

from codegen.contracts import Contracts
from codegen.envoy.edge import STREAM, TIMEOUT
from codegen.operations import operations
from codegen.protobuf import Method

REQUESTS = "http_server_request_duration_seconds"
SERVED = "rpc_server_call_duration_seconds"
PROCESSED = "delivery_events_process_duration_seconds"
PUBLISHED = "delivery_events_published_total"
STATUS = "http_response_status_code"
CODE = "rpc_response_status_code"

FAULTS = "UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"
"""The codes that a server is to blame for; others are answers."""


def methods(contracts: Contracts) -> Iterator[Method]:
    """Every RPC."""
    for service in contracts.protos.services:
        yield from service.methods


def operation_timeouts(contracts: Contracts) -> Mapping[str, float]:
    """Seconds that the edge waits for each operation; streams of events last for as long as they like."""
    return {
        operation.id: float(str(operation.raw.get("x-timeout", TIMEOUT)).removesuffix("s"))
        for operation in operations(contracts, "delivery")
        if STREAM not in operation.content
    }


def method_timeouts(contracts: Contracts) -> Mapping[str, float]:
    """Seconds that each RPC may take, without streams."""
    return {
        method.path.removeprefix("/"): method.timeout_s
        for method in methods(contracts)
        if method.timeout_s is not None and not method.server_streaming
    }


def queues(contracts: Contracts) -> list[str]:
    """Every queue that somebody consumes from."""
    return sorted({queue for event in contracts.protos.events for queue in event.queues})


def ratio(metric: str, bad: str, by: str, over: str = "5m") -> str:
    """Which part of what was counted was bad, by a label."""
    return f"sum by ({by}) (rate({metric}{{{bad}}}[{over}])) / sum by ({by}) (rate({metric}[{over}]))"


def failing(metric: str, bad: str, by: str, most: float) -> str:
    """More than this part was bad, and more than three in five minutes: one mishap at night wakes nobody."""
    return f"{ratio(metric, bad, by)} > {most:g} and sum by ({by}) (increase({metric}{{{bad}}}[5m])) > 3"


def quantile(q: float, metric: str, by: str, over: str = "5m") -> str:
    """A quantile of a histogram, by a label."""
    return f"histogram_quantile({q}, sum by ({by}, le) (rate({metric}_bucket[{over}])))"
