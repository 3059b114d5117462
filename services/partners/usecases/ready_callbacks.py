"""Ready reports, which partners send in signed callbacks."""

from collections.abc import Callable, Sequence

from generated.problems import Reason
from generated.proto.delivery.events.v1 import OrderReadyReported
from services.partners.domain.partners import ReadyReport
from services.partners.usecases.partner_calls import PartnerCallsRepository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhook_secrets
from services.runtime.storage.encryption import SecretBox


async def get_callback_secrets(
    repository: PartnerCallsRepository, secret_box: SecretBox, clock: Clock, partner_id: int
) -> Sequence[str]:
    """Return the secrets with which a partner may sign a callback now, newest first; none for an unknown partner."""
    partner = await repository.partners.get(partner_id)
    if partner is None:
        return []
    return webhook_secrets.decrypt_active_secrets(partner, secret_box.decrypt_cached, clock())


async def handle_ready_callback(
    repository: PartnerCallsRepository,
    secret_box: SecretBox,
    clock: Clock,
    report: ReadyReport,
    webhook_id: str,
    verify: Callable[[Sequence[str]], None],
) -> None:
    """Verify a callback with the secrets of its partner, then publish its report.

    Raises ApiError: SIGNATURE_INVALID, and those of `report_order_ready`.
    """
    verify(await get_callback_secrets(repository, secret_box, clock, report.partner_id))
    await report_order_ready(repository, report, webhook_id)


async def report_order_ready(repository: PartnerCallsRepository, report: ReadyReport, webhook_id: str) -> None:
    """Publish a partner's report that an order is ready, once per webhook id.

    The orders service decides whether the order becomes ready; a report about a cancelled order has no effect there.

    Raises ApiError: WEBHOOK_ID_REUSED if the partner sent another report under the id, and ORDER_NOT_FOUND if no call
    about the order was planned for the partner.
    """
    event = OrderReadyReported(
        order_id=report.order_id, partner_id=report.partner_id, pickup_address=report.pickup_address
    )
    if await repository.ready_reports.publish(report, webhook_id, event):
        return
    first = await repository.ready_reports.get_fingerprint(report.partner_id, webhook_id)
    if first is None:
        raise ApiError(Reason.ORDER_NOT_FOUND)
    if first != report.compute_fingerprint():
        raise ApiError(Reason.WEBHOOK_ID_REUSED)
