"""Attributes of OpenTelemetry's semantic conventions, by signal."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from opentelemetry.semconv._incubating.attributes import messaging_attributes, rpc_attributes
from opentelemetry.semconv.attributes import (
    db_attributes,
    error_attributes,
    http_attributes,
    server_attributes,
    url_attributes,
)

from services.runtime.telemetry.histograms import DurationHistogram

ERROR = error_attributes.ERROR_TYPE


class Convention(NamedTuple):
    """Required attributes, and those that are required or recommended under conditions."""

    required: set[str]
    conditional: set[str]


HTTP_SERVER = Convention(
    {http_attributes.HTTP_REQUEST_METHOD, url_attributes.URL_SCHEME},
    {http_attributes.HTTP_ROUTE, http_attributes.HTTP_RESPONSE_STATUS_CODE, ERROR},
)
HTTP_SERVER_SPAN = Convention(HTTP_SERVER.required | {url_attributes.URL_PATH}, HTTP_SERVER.conditional)
HTTP_CLIENT_METRIC = Convention(
    {http_attributes.HTTP_REQUEST_METHOD, server_attributes.SERVER_ADDRESS, server_attributes.SERVER_PORT},
    {http_attributes.HTTP_RESPONSE_STATUS_CODE, ERROR},
)
HTTP_CLIENT = Convention(HTTP_CLIENT_METRIC.required | {url_attributes.URL_FULL}, HTTP_CLIENT_METRIC.conditional)
RPC = Convention(
    {rpc_attributes.RPC_SYSTEM_NAME}, {rpc_attributes.RPC_METHOD, rpc_attributes.RPC_RESPONSE_STATUS_CODE, ERROR}
)
DATABASE = Convention(
    {db_attributes.DB_SYSTEM_NAME},
    {
        db_attributes.DB_NAMESPACE,
        db_attributes.DB_OPERATION_NAME,
        db_attributes.DB_COLLECTION_NAME,
        db_attributes.DB_QUERY_SUMMARY,
        db_attributes.DB_RESPONSE_STATUS_CODE,
        ERROR,
    },
)
MESSAGING = Convention(
    {messaging_attributes.MESSAGING_SYSTEM, messaging_attributes.MESSAGING_OPERATION_NAME},
    {messaging_attributes.MESSAGING_DESTINATION_NAME, messaging_attributes.MESSAGING_OPERATION_TYPE, ERROR},
)
MESSAGING_SPAN = Convention(
    {*MESSAGING.required, messaging_attributes.MESSAGING_OPERATION_TYPE},
    {
        *MESSAGING.conditional,
        messaging_attributes.MESSAGING_MESSAGE_ID,
        messaging_attributes.MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY,
    },
)
PROJECT_ATTRIBUTES = {"operation", "queue", "event", "outcome"}
"""Attributes of this project in addition to those of the conventions."""

type Attributes = Mapping[str, Any]


def assert_conforms(convention: Convention, attributes: Attributes) -> None:
    """Assert that required attributes exist, and that all others are defined for this signal."""
    assert convention.required <= attributes.keys()
    allowed = convention.required | convention.conditional | PROJECT_ATTRIBUTES
    assert {name for name in attributes if not name.startswith("cloudevents.")} <= allowed


def list_attributes(histogram: DurationHistogram[Any], measure: Callable[[], object]) -> list[Attributes]:
    """Return the attributes of the measurements that a function records."""

    def count() -> dict[frozenset[Any], int]:
        return {frozenset((p.attributes or {}).items()): p.count for p in histogram.to_metric().data.data_points}  # type: ignore[union-attr]

    before = count()
    measure()
    return [dict(attributes) for attributes, number in count().items() if number > before.get(attributes, 0)]
