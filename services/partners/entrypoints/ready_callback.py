"""Ready callbacks of partners. The gateway forwards their bodies as received."""

from generated.proto.delivery.partners.v1 import HandleReadyCallbackRequest
from generated.rest.delivery.callbacks import PARTNER_READY_CALLBACK
from services.partners.domain.partners import ReadyReport


def parse_ready_report(request: HandleReadyCallbackRequest) -> ReadyReport:
    """Parse the body of a ready callback.

    Raises ApiError: INVALID_REQUEST.
    """
    callback = PARTNER_READY_CALLBACK.parse(request.body)
    return ReadyReport(request.partner_id, callback.order_id, callback.pickup_address)
