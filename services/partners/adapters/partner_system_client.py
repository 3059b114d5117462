"""HTTP client of partner systems, as specified in `partner-system.yaml`."""

from datetime import datetime
from typing import override
from urllib.parse import quote

import httpx
import msgspec

from generated.rest.partner_system.models import OrderAcknowledgement
from services.partners.adapters import metrics
from services.partners.domain.call_policy import Call, CallKind, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.usecases.partner_calls import PartnerSystem
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhook_secrets
from services.runtime.outbound.retry_after import parse_retry_after
from services.runtime.outbound.signed_client import RequestFailedError, SignedClient, SignedPost
from services.runtime.storage.encryption import SecretBox


class PartnerSystemClient(PartnerSystem):
    """Sends `POST {api_url}/orders` and `POST {api_url}/orders/{order_id}/cancellation`."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, secret_box: SecretBox, clock: Clock, timeout_s: float
    ) -> None:
        self._client = SignedClient(transport, "partner-system", clock, timeout_s)
        self._secret_box = secret_box
        self._clock = clock

    @override
    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        response = await self._send(partner, call)
        metrics.record_response(call, response)
        return response

    async def _send(self, partner: Partner, call: Call) -> PartnerResponse:
        try:
            secrets = webhook_secrets.decrypt_active_secrets(partner, self._secret_box.decrypt_cached, self._clock())
        except ApiError:
            return PartnerResponse(Outcome.FAILED, "not sent: the secret cannot be decrypted")
        body = msgspec.json.encode(call.payload)
        attributes: dict[str, str | int] = {
            "service.peer.name": "partner system",
            "http.request.resend_count": call.attempts - 1,
            "delivery.partner_id": str(partner.id),
            "delivery.order_id": call.order_id,
        }
        try:
            response = await self._client.post(
                SignedPost(partner.api_url, _build_request_path(call), call.id, body, secrets),
                f"send {call.kind} to partner",
                attributes,
            )
        except RequestFailedError as error:
            return PartnerResponse(Outcome.FAILED, str(error))
        result = classify_response(response.http, response.body, call.order_id, self._clock())
        if result.outcome is Outcome.FAILED or response.is_valid:
            return result
        return PartnerResponse(Outcome.FAILED, f"{response.http.status_code}: response violates the contract")


def classify_response(response: httpx.Response, body: bytes, order_id: str, now: datetime) -> PartnerResponse:
    """Return the outcome of a response; a response that the contract does not define is a failure."""
    status = response.status_code
    if status == httpx.codes.NO_CONTENT or (status == httpx.codes.OK and _is_acknowledgement(body, order_id)):
        return PartnerResponse(Outcome.ACCEPTED, str(status))
    if response.is_success:
        return PartnerResponse(Outcome.FAILED, f"{status}: response violates the contract")
    if response.has_redirect_location:
        return PartnerResponse(Outcome.FAILED, f"{status}: redirect not followed")
    if status == httpx.codes.GONE:
        return PartnerResponse(Outcome.GONE, str(status))
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return PartnerResponse(Outcome.REJECTED, str(status))
    return PartnerResponse(Outcome.FAILED, str(status), parse_retry_after(response.headers.get("retry-after"), now))


def _build_request_path(call: Call) -> str:
    return "/orders" if call.kind is CallKind.ORDER else f"/orders/{quote(call.order_id, safe='')}/cancellation"


def _is_acknowledgement(body: bytes, order_id: str) -> bool:
    try:
        return msgspec.json.decode(body, type=OrderAcknowledgement).order_id == order_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
