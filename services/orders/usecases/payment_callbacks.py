"""What banks say of payments: verified, judged, recorded, answered, each once."""

from datetime import datetime

import msgspec

from generated.problems import Reason
from generated.rest.delivery.models import PaymentCallback, PaymentStatus
from services.orders.domain import payments as payment_rules
from services.orders.domain.orders import Bank
from services.orders.domain.payments import Payment, PaymentOutcome, PaymentRecord
from services.orders.usecases import event_factory
from services.orders.usecases.banks import require_admin
from services.orders.usecases.ports import HistoryRepository, ProcessedCallback, Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.storage.encryption import SecretBox


async def pay_order(
    repository: Repository, secret_box: SecretBox, clock: Clock, bank_id: str, request: SignedRequest
) -> str:
    """Takes a bank's callback, once, and returns the payment's id.

    Refuses SIGNATURE_INVALID before anything is read; ORDER_NOT_FOUND, PAYMENT_CONFLICT and PAYMENT_INSUFFICIENT after
    the payment is recorded and its refund on the way.
    """
    async with repository.unit_of_work() as unit:
        bank = await unit.get_bank(bank_id)
        webhooks.verify_signature(request, [] if bank is None else active_secrets(bank, secret_box, clock()))
        callback = _parse_callback(request.body)
        payment = Payment(
            bank_id=bank_id,
            payment_id=callback.payment_id,
            order_id=callback.order_id,
            amount=callback.amount,
            currency=callback.currency,
            succeeded=callback.status is PaymentStatus.succeeded,
        )
        first = await unit.register_callback(bank_id, request.id, payment.payment_id)
        if first is None:
            outcome = await unit.get_payment_outcome_for_update(bank_id, payment.payment_id)
            if outcome is None or (outcome is PaymentOutcome.FAILED and payment.succeeded):
                outcome = await _process_payment(unit, payment, clock())
            await unit.save_callback_outcome(bank_id, request.id, outcome)
            first = ProcessedCallback(payment.payment_id, outcome)
    if first.outcome in payment_rules.REJECTION_REASONS:
        raise ApiError(payment_rules.REJECTION_REASONS[first.outcome])
    return first.payment_id


def active_secrets(bank: Bank, secret_box: SecretBox, now: datetime) -> list[str]:
    """What the bank may sign with now, the newest first."""
    locked = [bank.webhook_secret]
    if bank.old_secret is not None and bank.old_secret_until is not None and now < bank.old_secret_until:
        locked.append(bank.old_secret)
    return [secret_box.decrypt(each) for each in locked]


def _parse_callback(body: bytes) -> PaymentCallback:
    """Refuses INVALID_REQUEST. To JSON Schema 405.0 is an integer, and so it is here."""
    try:
        return msgspec.convert(msgspec.json.decode(body), PaymentCallback, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ApiError(Reason.INVALID_REQUEST) from error


async def _process_payment(unit: UnitOfWork, payment: Payment, at: datetime) -> PaymentOutcome:
    order = await unit.get_order_for_update(payment.order_id)
    outcome, amount = payment_rules.evaluate_payment(order, payment)
    record = PaymentRecord(
        bank_id=payment.bank_id,
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        amount=payment.amount,
        currency=payment.currency,
        outcome=outcome,
        refund_amount=amount,
        at=at,
    )
    await unit.save_payment(record)
    await unit.publish(event_factory.build_payment_recorded(record))
    if order is not None:
        actor = f"bank:{payment.bank_id}"
        after = payment_rules.apply_payment(order, payment, outcome, amount, at)
        if after != order:
            await unit.update_order(order, after, actor, f"payment {payment.payment_id}")
        if after.status is not order.status:
            await unit.publish(event_factory.build_order_paid(after, payment))
    if amount:
        refund = payment_rules.create_payment_refund(record)
        await unit.add_refund(refund)
        await unit.publish(event_factory.build_refund_requested(refund))
    if outcome is PaymentOutcome.UNKNOWN_ORDER:
        await unit.publish(event_factory.build_unknown_order_alert(record))
    return outcome


async def record_payment(history: HistoryRepository, record: PaymentRecord) -> None:
    """Writes a payment's details, as often as they are told."""
    await history.save_payment(record)


async def list_payments(
    history: HistoryRepository,
    principal: Principal,
    page_size: int,
    page_token: str,
    order_id: str | None,
    bank_id: str | None,
) -> Page[PaymentRecord]:
    """A page of payments as they were recorded, newest first."""
    require_admin(principal)
    before = pagination.decode_page_token(page_token, tuple[datetime, str, str])
    records = await history.list_payments(page_size + 1, before, order_id, bank_id)
    return pagination.build_page(
        records, page_size, lambda record: (record.at.isoformat(), record.bank_id, record.payment_id)
    )
