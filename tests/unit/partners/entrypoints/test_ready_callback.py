"""Ready callbacks: parsing of their bodies, which the gateway forwards as received."""

import msgspec
import pytest

from generated.proto.delivery.partners.v1 import HandleReadyCallbackRequest
from services.partners.domain.partners import ReadyReport
from services.partners.entrypoints.ready_callback import parse_ready_report
from services.runtime.core.errors import ApiError

BODY = {"order_id": "o1", "pickup_address": "1 Lane"}


def parse(body: bytes) -> ReadyReport:
    return parse_ready_report(HandleReadyCallbackRequest(partner_id=7, body=body))


def test_parsed_report_belongs_to_the_partner() -> None:
    assert parse(msgspec.json.encode(BODY | {"more": 1})) == ReadyReport(7, "o1", "1 Lane")


INVALID_FIELDS = [
    ("/order_id", ""),
    ("/order_id", "o" * 65),
    ("/order_id", "a b"),
    ("/order_id", 1),
    ("/pickup_address", ""),
    ("/pickup_address", "x" * 201),
    ("/pickup_address", "\x00"),
]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *((body, "") for body in (b"", b"no JSON", b"[]", b"{}")),
        *((msgspec.json.encode(BODY | {field[1:]: value}), field) for field, value in INVALID_FIELDS),
    ],
)
def test_invalid_body_is_reported_by_json_pointer(body: bytes, field: str) -> None:
    with pytest.raises(ApiError, match="INVALID_REQUEST") as raised:
        parse(body)
    assert {error.field for error in raised.value.errors} == {field}
