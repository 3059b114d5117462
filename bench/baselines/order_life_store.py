"""SQL statements on psycopg for orders after their confirmation: payment, readiness, assignment and delivery."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import grpc
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from bench.baselines.events import build_event
from bench.baselines.models import PaymentCallback, ReadyCallback
from bench.baselines.store import ORDER_COLUMNS, Row

SELECT_SECRET = "SELECT secret FROM third_parties WHERE owner = %s"
SELECT_ORDER = f"SELECT {', '.join(ORDER_COLUMNS)} FROM orders WHERE id = %s FOR UPDATE"  # noqa: S608 (internal names)
INSERT_PAYMENT = (
    "INSERT INTO payments (bank_id, payment_id, webhook_id, order_id, amount, currency, at)"
    " VALUES (%s, %s, %s, %s, %s, %s, now()) ON CONFLICT DO NOTHING"
)


class TransitionError(Exception):
    """The order does not exist, or does not allow the change."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class OrderLifeStore:
    """Changes of orders, each in one transaction with its event."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def get_secret(self, owner: str) -> str | None:
        """Return the secret of a bank or partner, or None."""
        async with self._pool.connection() as connection:
            row: Any = await (await connection.execute(SELECT_SECRET, [owner])).fetchone()
        return None if row is None else str(row["secret"])

    async def record_payment(self, bank_id: str, webhook_id: str, payment: PaymentCallback) -> None:
        """Record a payment, once per callback. Raises TransitionError."""
        async with self._pool.connection() as connection, connection.transaction():
            order = await self._lock_order(connection, payment.order_id)
            if order["bank_id"] != bank_id:
                raise TransitionError(grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
            values = [bank_id, payment.payment_id, webhook_id, payment.order_id, payment.amount, payment.currency]
            inserted = await connection.execute(INSERT_PAYMENT, values)
            if inserted.rowcount == 0 or payment.status == "failed":
                return
            if order["status"] != "pending":
                raise TransitionError(grpc.StatusCode.ABORTED, "PAYMENT_CONFLICT")
            if payment.currency != order["currency"] or payment.amount < order["total_amount"]:
                raise TransitionError(grpc.StatusCode.FAILED_PRECONDITION, "PAYMENT_INSUFFICIENT")
            changes = {"status": "paid", "paid_amount": payment.amount, "payment_id": payment.payment_id}
            await self._update_order(connection, order, "orders.paid", f"bank:{bank_id}", changes)

    async def mark_ready(self, partner_id: int, callback: ReadyCallback) -> None:
        """Mark a paid order as ready. No effect in another status. Raises TransitionError."""
        async with self._pool.connection() as connection, connection.transaction():
            order = await self._lock_order(connection, callback.order_id)
            if order["partner"]["id"] != partner_id:
                raise TransitionError(grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
            if order["status"] == "paid":
                changes = {"status": "ready", "pickup_address": callback.pickup_address}
                await self._update_order(connection, order, "orders.ready", f"partner:{partner_id}", changes)

    async def assign(self, order_id: str, deliverer_id: str) -> Row:
        """Assign a ready order to a deliverer, idempotently. Raises TransitionError."""
        async with self._pool.connection() as connection, connection.transaction():
            order = await self._lock_order(connection, order_id)
            if order["deliverer_id"] == deliverer_id:
                return order
            if order["status"] != "ready":
                raise TransitionError(grpc.StatusCode.ABORTED, "ORDER_STATE_CONFLICT")
            changes = {"status": "delivering", "deliverer_id": deliverer_id}
            return await self._update_order(connection, order, "orders.assigned", f"deliverer:{deliverer_id}", changes)

    async def complete(self, order_id: str, deliverer_id: str) -> Row:
        """Complete a delivery of the deliverer, idempotently. Raises TransitionError."""
        async with self._pool.connection() as connection, connection.transaction():
            order = await self._lock_order(connection, order_id)
            if order["deliverer_id"] != deliverer_id:
                raise TransitionError(grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
            if order["status"] == "delivered":
                return order
            return await self._update_order(
                connection, order, "orders.delivered", f"deliverer:{deliverer_id}", {"status": "delivered"}
            )

    async def _lock_order(self, connection: AsyncConnection[Any], order_id: str) -> Row:
        row: Row | None = await (await connection.execute(SELECT_ORDER.encode(), [order_id])).fetchone()
        if row is None:
            raise TransitionError(grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
        return row

    async def _update_order(
        self,
        connection: AsyncConnection[Any],
        order: Row,
        event_type: str,
        actor: str,
        changes: Mapping[str, object],
    ) -> Row:
        """Update the order and insert its event with one statement. Return the updated order."""
        values = {**changes, "version": order["version"] + 1, "updated_at": datetime.now(UTC)}
        after = order | values
        assignments = ", ".join(f"{name} = %({name})s" for name in values)
        event = {f"e_{name}": value for name, value in build_event(after, event_type, actor).items()}
        await connection.execute(
            f"WITH updated AS (UPDATE orders SET {assignments} WHERE id = %(id)s)"  # noqa: S608 (internal names)
            " INSERT INTO outbox (type, subject, payload, at)"
            " VALUES (%(e_type)s, %(e_subject)s, %(e_payload)s, %(e_at)s)".encode(),
            {**values, **event, "id": order["id"]},
        )
        return after
