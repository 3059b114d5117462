"""What banks say of payments: verified, judged, recorded, answered, each once."""

from datetime import datetime

import msgspec

from generated.problems import Reason
from generated.rest.delivery.models import PaymentCallback, PaymentStatus
from services.orders import facts, money
from services.orders.domain import Bank
from services.orders.money import Outcome, Payment, PaymentRecord
from services.orders.usecases.banks import admins_only
from services.orders.usecases.ports import Callback, Documents, Store, Unit
from services.runtime import paging, webhooks
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.vault import Vault
from services.runtime.webhooks import SignedRequest


async def pay_order(store: Store, vault: Vault, clock: Clock, bank_id: str, request: SignedRequest) -> str:
    """Takes a bank's callback, once, and returns the payment's id.

    Refuses SIGNATURE_INVALID before anything is read; ORDER_NOT_FOUND, PAYMENT_CONFLICT and PAYMENT_INSUFFICIENT after
    the payment is recorded and its refund on the way.
    """
    async with store.unit() as unit:
        bank = await unit.bank(bank_id)
        webhooks.verify(request, [] if bank is None else secrets(bank, vault, clock()))
        callback = _callback(request.body)
        payment = Payment(
            bank_id=bank_id,
            payment_id=callback.payment_id,
            order_id=callback.order_id,
            amount=callback.amount,
            currency=callback.currency,
            succeeded=callback.status is PaymentStatus.succeeded,
        )
        first = await unit.first_callback(bank_id, request.id, payment.payment_id)
        if first is None:
            outcome = await unit.payment(bank_id, payment.payment_id)
            if outcome is None or (outcome is Outcome.FAILED and payment.succeeded):
                outcome = await _take(unit, payment, clock())
            await unit.answered(bank_id, request.id, outcome)
            first = Callback(payment.payment_id, outcome)
    if first.outcome in money.REFUSED:
        raise Refusal(money.REFUSED[first.outcome])
    return first.payment_id


def secrets(bank: Bank, vault: Vault, now: datetime) -> list[str]:
    """What the bank may sign with now, the newest first."""
    locked = [bank.webhook_secret]
    if bank.old_secret is not None and bank.old_secret_until is not None and now < bank.old_secret_until:
        locked.append(bank.old_secret)
    return [vault.unlock(each) for each in locked]


def _callback(body: bytes) -> PaymentCallback:
    """Refuses INVALID_REQUEST. To JSON Schema 405.0 is an integer, and so it is here."""
    try:
        return msgspec.convert(msgspec.json.decode(body), PaymentCallback, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(Reason.INVALID_REQUEST) from error


async def _take(unit: Unit, payment: Payment, at: datetime) -> Outcome:
    order = await unit.order(payment.order_id)
    outcome, amount = money.judge(order, payment)
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
    await unit.put_payment(record)
    await unit.publish(facts.payment(record))
    if order is not None:
        actor = f"bank:{payment.bank_id}"
        after = money.apply(order, payment, outcome, amount, at)
        if after != order:
            await unit.change_order(order, after, actor, f"payment {payment.payment_id}")
        if after.status is not order.status:
            await unit.publish(facts.paid(after, payment))
    if amount:
        refund = money.of_payment(record)
        await unit.add_refund(refund)
        await unit.publish(facts.refund_requested(refund))
    if outcome is Outcome.UNKNOWN_ORDER:
        await unit.publish(facts.unknown_order(record))
    return outcome


async def record_payment(documents: Documents, record: PaymentRecord) -> None:
    """Writes a payment's details, as often as they are told."""
    await documents.put_payment(record)


async def list_payments(
    documents: Documents, who: Principal, size: int, token: str, order_id: str | None, bank_id: str | None
) -> Page[PaymentRecord]:
    """A page of payments as they were recorded, newest first."""
    admins_only(who)
    before = paging.decode(token, tuple[datetime, str, str])
    records = await documents.payments(size + 1, before, order_id, bank_id)
    return paging.cut(records, size, lambda record: (record.at.isoformat(), record.bank_id, record.payment_id))
