"""Verification of partners' ready callbacks."""

from collections.abc import Callable

from generated.problems import Reason
from services.partners.domain.partners import ReadyCallback
from services.partners.usecases.ports import Repository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhook_secrets, webhooks
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.storage.encryption import SecretBox


async def verify_ready_callback(
    repository: Repository,
    secret_box: SecretBox,
    clock: Clock,
    partner_id: int,
    request: SignedRequest,
    decode_body: Callable[[bytes], ReadyCallback],
) -> ReadyCallback:
    """Return the callback, decoded after its signature has been verified.

    Raises ApiError: SIGNATURE_INVALID, or ORDER_NOT_FOUND if no call about the order was planned for the partner.
    """
    partner = await repository.get_partner(partner_id)
    secrets: list[str] = []
    if partner is not None:
        secrets = webhook_secrets.decrypt_active_secrets(partner, secret_box.decrypt, clock())
    webhooks.verify_signature(request, secrets)
    callback = decode_body(request.body)
    if not await repository.was_sent_to_partner(partner_id, callback.order_id):
        raise ApiError(Reason.ORDER_NOT_FOUND)
    return callback
