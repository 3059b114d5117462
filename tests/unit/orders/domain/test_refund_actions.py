"""Actions of admins on refunds: permitted statuses and their effect."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from generated.problems import Reason
from services.orders.domain import refund_actions
from services.orders.domain.orders import RefundStatus
from services.orders.domain.payments import Refund
from tests.unit.fake_transactions import raises_reason

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
REFUND = Refund(
    "r1", "visa", "p1", "o1", 50, "USD", RefundStatus.REQUESTED, NOW, attempts=3, next_at=NOW + timedelta(hours=9)
)


@pytest.mark.parametrize(("status", "attempts"), [(RefundStatus.REQUESTED, 3), (RefundStatus.FAILED, 0)])
def test_retried_refund_is_requested_and_due(status: RefundStatus, attempts: int) -> None:
    after = refund_actions.retry(replace(REFUND, status=status), NOW)
    assert (after.status, after.attempts, after.next_at) == (RefundStatus.REQUESTED, attempts, NOW)


def test_made_refund_cannot_be_retried() -> None:
    with raises_reason(Reason.REFUND_CONFLICT):
        refund_actions.retry(replace(REFUND, status=RefundStatus.REFUNDED), NOW)


def test_only_failed_refund_can_be_settled() -> None:
    failed = replace(REFUND, status=RefundStatus.FAILED)
    assert refund_actions.settle(failed) == replace(failed, status=RefundStatus.REFUNDED)
    for status in (RefundStatus.REQUESTED, RefundStatus.REFUNDED):
        with raises_reason(Reason.REFUND_CONFLICT):
            refund_actions.settle(replace(REFUND, status=status))
