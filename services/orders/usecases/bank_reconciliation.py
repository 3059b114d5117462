"""Reconciliation with the banks: payments that a bank has captured and that are not recorded here."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from services.orders.domain.orders import Bank
from services.orders.domain.payments import BankPaymentPage, Payment
from services.orders.usecases.event_factory import build_lost_payment_alert
from services.orders.usecases.reconciliation import ReconciliationPolicy, ReconciliationRepository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

BANKS_PER_PAGE = 100

MAX_BANK_DURATION_S = 600.0
"""Maximum time of the comparison with one bank, in seconds, so that an endless list does not stop the others."""


class BankPaymentLister(Protocol):
    """Banks' lists of captured payments."""

    async def list_payments(
        self, bank: Bank, since: datetime, until: datetime, page_token: str | None
    ) -> BankPaymentPage | None:
        """Return a page of the payments of a period, oldest first; None if the bank has no such list.

        Raises ApiError: UPSTREAM_UNAVAILABLE.
        """


def log_lost_payment(payment: Payment) -> None:
    """Log a payment that only its bank has recorded, as a warning."""
    log.warning("payment %s of bank %s is not recorded; raising an alert", payment.payment_id, payment.bank_id)


def log_failed_bank(bank_id: str, error: Exception) -> None:
    """Log a bank whose payments were not compared, as a warning."""
    log.warning("payments of bank %s not compared: %r; retrying at the next run", bank_id, error)


async def reconcile_banks(
    repository: ReconciliationRepository,
    lister: BankPaymentLister,
    clock: Clock,
    policy: ReconciliationPolicy,
    report_payment: Callable[[Payment], None] = log_lost_payment,
    report_failure: Callable[[str, Exception], None] = log_failed_bank,
    max_bank_duration_s: float = MAX_BANK_DURATION_S,
) -> int:
    """Raise an alert, once, for each payment within the window that only its bank has recorded. Return 0.

    Payments within the quiet period are not compared, since their callbacks may be on their way. A bank that is
    unavailable, has no list of payments or an endless one, or answers anything else does not affect the others.
    """
    now, after = clock(), ""
    since, until = now - policy.window, now - policy.quiet_period
    while banks := await repository.banks.list_after(after, BANKS_PER_PAGE, active=True):
        for bank in banks:
            try:
                async with asyncio.timeout(max_bank_duration_s):
                    await _reconcile_bank(repository, lister, bank, since, until, report_payment)
            except (ApiError, TimeoutError) as error:
                report_failure(bank.id, error)
            # Boundary of one bank: its answers may cause any error.
            except Exception as error:
                log.exception("comparison with bank %s failed", bank.id)
                report_failure(bank.id, error)
        after = banks[-1].id
    return 0


async def _reconcile_bank(
    repository: ReconciliationRepository,
    lister: BankPaymentLister,
    bank: Bank,
    since: datetime,
    until: datetime,
    report: Callable[[Payment], None],
) -> None:
    token: str | None = None
    while page := await lister.list_payments(bank, since, until, token):
        for payment in await repository.find_unknown_payments(page.payments):
            report(payment)
            alert = build_lost_payment_alert(payment, until)
            async with repository.unit_of_work() as unit:
                if await unit.register_alert(alert.subject, alert.reason, until):
                    await unit.publish(alert)
        if page.next_page_token in (None, token):
            return
        token = page.next_page_token
