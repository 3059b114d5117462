"""Ready callbacks of partners: verification of the signature and decoding of the body.

The gateway has validated the body against the public contract and forwards it unmodified.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from generated.proto.delivery.partners.v1 import HandleReadyCallbackRequest
from services.partners.domain.partners import ReadyReport
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhooks import SignedRequest


class _ReadyCallback(msgspec.Struct):
    order_id: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[\x21-\x7e]+$")]
    pickup_address: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]+$")]


def verify_and_decode_ready_report(request: HandleReadyCallbackRequest, secrets: Sequence[str]) -> ReadyReport:
    """Verify that one of the partner's secrets signed the callback, then decode its body.

    Raises ApiError: SIGNATURE_INVALID, INVALID_REQUEST.
    """
    webhooks.verify_signature(
        SignedRequest(request.webhook_id, request.webhook_timestamp, request.webhook_signature, request.body), secrets
    )
    callback = webhooks.decode_body(request.body, _ReadyCallback)
    return ReadyReport(request.partner_id, callback.order_id, callback.pickup_address)
