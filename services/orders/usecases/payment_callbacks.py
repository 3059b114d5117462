"""Payments that banks report in callbacks, and the list of recorded payments."""

from collections.abc import Callable, Sequence
from datetime import datetime

from generated.problems import Reason
from services.orders.domain.payments import (
    REJECTION_REASONS,
    Payment,
    PaymentFilter,
    PaymentOutcome,
    PaymentRecord,
    resolve_payment,
)
from services.orders.usecases.event_factory import (
    build_duplicate_payment_alert,
    build_payment_events,
    build_payment_recorded,
)
from services.orders.usecases.ports import HistoryRepository, Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal, require_role
from services.runtime.outbound import webhook_secrets
from services.runtime.storage.encryption import SecretBox


async def get_callback_secrets(
    repository: Repository, secret_box: SecretBox, clock: Clock, bank_id: str
) -> Sequence[str]:
    """Return the secrets with which a bank may sign a callback now, newest first; none for an unknown bank."""
    bank = await repository.banks.get(bank_id)
    return [] if bank is None else webhook_secrets.decrypt_active_secrets(bank, secret_box.decrypt_cached, clock())


async def handle_payment_callback(
    repository: Repository,
    secret_box: SecretBox,
    clock: Clock,
    payment: Payment,
    webhook_id: str,
    verify: Callable[[Sequence[str]], None],
) -> str:
    """Verify a callback with the secrets of its bank, then process its payment; return the payment's id.

    Raises ApiError: SIGNATURE_INVALID, and those of `process_payment`.
    """
    verify(await get_callback_secrets(repository, secret_box, clock, payment.bank_id))
    return await process_payment(repository, clock, payment, webhook_id)


async def process_payment(repository: Repository, clock: Clock, payment: Payment, webhook_id: str) -> str:
    """Record a payment that a bank reports, idempotently by webhook id and by payment; return the payment's id.

    A rejection is raised after the payment and its refund are committed. A webhook id identifies one payment: another
    payment with the same id is recorded, refunded and rejected. A payment id identifies one order, amount and currency,
    and a payment that has succeeded does not fail later: a report that contradicts the recorded one is recorded and
    rejected, but not refunded, since a refund would be one of the recorded payment. A failed payment captured nothing:
    its first success is the payment, and is refunded if it names another order, amount or currency.

    Raises ApiError: ORDER_NOT_FOUND, PAYMENT_CONFLICT, PAYMENT_INSUFFICIENT, WEBHOOK_ID_REUSED, PAYMENT_ID_REUSED, and
    UPSTREAM_UNAVAILABLE if another report of the payment is committed meanwhile.
    """
    reason = await repository.run_optimistically(lambda unit: _process_callback(unit, payment, webhook_id, clock()))
    if reason is not None:
        raise ApiError(reason)
    return payment.payment_id


async def _process_callback(unit: UnitOfWork, payment: Payment, webhook_id: str, at: datetime) -> Reason | None:
    """Record the payment of a callback. Return the reason of its rejection, or None."""
    first = await unit.payments.register_callback(payment, webhook_id)
    if first is not None and first.is_repeated_by(payment):
        return REJECTION_REASONS.get(first.outcome)
    outcome = await _record_payment(unit, payment, at, is_acceptable=first is None)
    if first is not None:
        return Reason.WEBHOOK_ID_REUSED
    await unit.payments.save_callback_outcome(payment.bank_id, webhook_id, outcome)
    return REJECTION_REASONS.get(outcome)


async def _record_payment(unit: UnitOfWork, payment: Payment, at: datetime, *, is_acceptable: bool) -> PaymentOutcome:
    recorded = await unit.payments.get_locked(payment.bank_id, payment.payment_id)
    if recorded is None:
        return await _apply_payment(unit, payment, at, is_acceptable=is_acceptable)
    if recorded.is_completed_by(payment):
        return await _apply_payment(unit, payment, at, is_acceptable=is_acceptable and recorded.is_for(payment))
    if recorded.is_repeated_by(payment):
        return recorded.outcome
    record = PaymentRecord.create(payment, PaymentOutcome.DUPLICATE_ID, 0, at)
    if await unit.payments.add_rejected(record):
        await unit.publish(build_payment_recorded(record))
        alert = build_duplicate_payment_alert(payment, at)
        if await unit.register_alert(alert.subject, alert.reason, at):
            await unit.publish(alert)
    return record.outcome


async def _apply_payment(unit: UnitOfWork, payment: Payment, at: datetime, *, is_acceptable: bool) -> PaymentOutcome:
    order = await unit.orders.get_for_update(payment.order_id)
    result = resolve_payment(order, payment, at, is_acceptable=is_acceptable)
    if result.record.outcome is not PaymentOutcome.PAID:
        # Only the update of the order detects that the payment was evaluated with an outdated order.
        unit.require_locks()
    if order is not None and result.changed_order is not None:
        actor, note = f"bank:{payment.bank_id}", f"payment {payment.payment_id}"
        await unit.orders.update(order, result.changed_order, actor, note)
    await unit.payments.save(result.record)
    if result.refund is not None:
        await unit.refunds.add(result.refund)
    for event in build_payment_events(payment, result):
        await unit.publish(event)
    return result.record.outcome


async def record_payment(history: HistoryRepository, record: PaymentRecord) -> None:
    """Save a recorded payment in the document store. Idempotent."""
    await history.save_payment(record)


async def list_payments(
    history: HistoryRepository, principal: Principal, page_size: int, page_token: str, payment_filter: PaymentFilter
) -> Page[PaymentRecord]:
    """Return a page of recorded payments, newest first.

    Raises ApiError: FORBIDDEN.
    """
    require_role(principal, "admin")
    before = pagination.decode_page_token(page_token, tuple[datetime, str, str])
    records = await history.list_payments(page_size + 1, before, payment_filter)
    return pagination.build_page(records, page_size, lambda record: (record.at.isoformat(), record.bank_id, record.key))
