"""Servicer methods for orders after their confirmation. Callbacks are verified by Standard Webhooks."""

from typing import Any

import grpc
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bench.baselines.messages import get_message_types
from bench.baselines.models import PaymentCallback, ReadyCallback
from bench.baselines.order_life_store import OrderLifeStore, TransitionError
from bench.baselines.store import Row


class OrderLifeServicer:
    """Servicer of the four RPCs after the confirmation."""

    def __init__(self, store: OrderLifeStore) -> None:
        self._store = store

    async def _verify(self, owner: str, request: Any, context: Any) -> None:
        """Abort the RPC unless the callback is signed by its owner."""
        secret = await self._store.get_secret(owner)
        headers = {
            name: getattr(request, name.replace("-", "_"))
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        }
        try:
            if secret is None:
                raise WebhookVerificationError("unknown owner")
            Webhook(secret).verify(request.body, headers, json_parse=False)
        except WebhookVerificationError:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "SIGNATURE_INVALID")

    async def handle_payment_callback(self, request: Any, context: Any) -> Any:
        """Record a payment."""
        await self._verify(f"bank:{request.bank_id}", request, context)
        try:
            payment = PaymentCallback.model_validate_json(request.body)
            await self._store.record_payment(request.bank_id, request.webhook_id, payment)
        except ValidationError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TransitionError as error:
            await context.abort(error.code, str(error))
        return get_message_types("pay")[1](payment_id=payment.payment_id)

    async def handle_ready_callback(self, request: Any, context: Any) -> Any:
        """Mark an order as ready."""
        await self._verify(f"partner:{request.partner_id}", request, context)
        try:
            callback = ReadyCallback.model_validate_json(request.body)
            await self._store.mark_ready(request.partner_id, callback)
        except ValidationError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TransitionError as error:
            await context.abort(error.code, str(error))
        return get_message_types("ready")[1]()

    async def assign_order(self, request: Any, context: Any) -> Any:
        """Assign an order to the calling deliverer."""
        try:
            row = await self._store.assign(request.order_id, _get_user_id(context))
        except TransitionError as error:
            await context.abort(error.code, str(error))
        return get_message_types("assign")[1](order=build_order_fields(row))

    async def complete_order(self, request: Any, context: Any) -> Any:
        """Complete a delivery of the calling deliverer."""
        try:
            row = await self._store.complete(request.order_id, _get_user_id(context))
        except TransitionError as error:
            await context.abort(error.code, str(error))
        return get_message_types("complete")[1](order=build_order_fields(row))


def _get_user_id(context: Any) -> str:
    return str(dict(context.invocation_metadata())["x-user"])


def build_order_fields(row: Row) -> Row:
    """Return the fields of the order message."""
    return {
        **{name: value for name, value in row.items() if value is not None},
        "status": f"ORDER_STATUS_{row['status'].upper()}",
        "refund_status": f"REFUND_STATUS_{row['refund_status'].upper()}",
    }
