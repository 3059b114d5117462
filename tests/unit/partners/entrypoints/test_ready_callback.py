"""Ready callbacks: verification of the signature, then decoding of the body."""

from datetime import UTC, datetime

import msgspec
import pytest

from generated.problems import Reason
from generated.proto.delivery.partners.v1 import HandleReadyCallbackRequest
from services.partners.domain.partners import ReadyReport
from services.partners.entrypoints.ready_callback import verify_and_decode_ready_report
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhook_secrets import generate_secret

SECRET = generate_secret()
BODY = {"order_id": "o1", "pickup_address": "1 Lane"}


def build_request(body: bytes) -> HandleReadyCallbackRequest:
    headers = webhooks.sign_message("w1", datetime.now(UTC), body, SECRET)
    return HandleReadyCallbackRequest(
        partner_id=7,
        webhook_id=headers["webhook-id"],
        webhook_timestamp=headers["webhook-timestamp"],
        webhook_signature=headers["webhook-signature"],
        body=body,
    )


def test_signed_callback_returns_report_of_the_partner() -> None:
    request = build_request(msgspec.json.encode(BODY | {"more": 1}))
    assert verify_and_decode_ready_report(request, [SECRET]) == ReadyReport(7, "o1", "1 Lane")


INVALID_FIELDS = [
    {"order_id": ""},
    {"order_id": "o" * 65},
    {"order_id": "a b"},
    {"order_id": 1},
    {"pickup_address": ""},
    {"pickup_address": "x" * 201},
    {"pickup_address": "\x00"},
]


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"[]", *(msgspec.json.encode(BODY | fields) for fields in INVALID_FIELDS)]
)
def test_signed_callback_with_invalid_body_raises_invalid_request(body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        verify_and_decode_ready_report(build_request(body), [SECRET])
    assert raised.value.reason is Reason.INVALID_REQUEST


@pytest.mark.parametrize("secrets", [[], [generate_secret()]])
def test_invalid_signature_is_reported_before_invalid_body(secrets: list[str]) -> None:
    with pytest.raises(ApiError) as raised:
        verify_and_decode_ready_report(build_request(b"no JSON"), secrets)
    assert raised.value.reason is Reason.SIGNATURE_INVALID
