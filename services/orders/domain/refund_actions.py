"""Actions of admins on refunds: retry, and settlement by hand. No I/O, no framework."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from generated.problems import Reason
from services.orders.domain.orders import RefundStatus
from services.orders.domain.payments import Refund
from services.runtime.core.errors import ApiError


class RefundActionKind(StrEnum):
    """Kind of an action."""

    RETRIED = "retried"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class RefundAction:
    """Action of an admin on a refund; the note of a settlement states how the customer received the money."""

    refund_id: str
    kind: RefundActionKind
    actor: str
    at: datetime
    note: str | None = None


class RefundFilter(NamedTuple):
    """Filter of a list of refunds; None matches every value."""

    order_id: str | None = None
    bank_id: str | None = None
    status: RefundStatus | None = None


def retry(refund: Refund, at: datetime) -> Refund:
    """Return the refund as due now; a failed one is requested again, with all of its attempts.

    Raises ApiError: REFUND_CONFLICT if the bank has made it.
    """
    if refund.status is RefundStatus.REFUNDED:
        raise ApiError(Reason.REFUND_CONFLICT, "The refund has been made.")
    if refund.status is RefundStatus.FAILED:
        return replace(refund, status=RefundStatus.REQUESTED, attempts=0, next_at=at)
    return replace(refund, next_at=at)


def settle(refund: Refund) -> Refund:
    """Return the refund as settled by hand. A requested one must fail first, since the bank may still make it.

    Raises ApiError: REFUND_CONFLICT unless it has failed.
    """
    if refund.status is not RefundStatus.FAILED:
        raise ApiError(Reason.REFUND_CONFLICT, "Only a failed refund can be settled.")
    return replace(refund, status=RefundStatus.REFUNDED)
