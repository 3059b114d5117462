"""Routes of the FastAPI application for orders after their confirmation: callbacks, assignment and delivery."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request

from bench.baselines.authentication import DelivererId
from bench.baselines.backends import build_order_fields
from bench.baselines.models import Order

router = APIRouter(prefix="/api/v1")

WebhookHeader = Annotated[str, Header(max_length=500)]


async def _call_with_webhook(
    request: Request, rpc: str, webhook_id: str, timestamp: str, signature: str, **fields: Any
) -> Any:
    """Return the response of the RPC that verifies and handles a callback. Raises HTTPException."""
    response = await request.app.state.backend.call_rpc(
        rpc,
        "",
        webhook_id=webhook_id,
        webhook_timestamp=timestamp,
        webhook_signature=signature,
        body=await request.body(),
        **fields,
    )
    if response is None:
        raise HTTPException(404)
    return response


@router.post("/callbacks/payments/{bank_id}")
async def handle_payment_callback(
    request: Request,
    bank_id: str,
    webhook_id: WebhookHeader,
    webhook_timestamp: WebhookHeader,
    webhook_signature: WebhookHeader,
) -> dict[str, str]:
    """Record a payment."""
    response = await _call_with_webhook(
        request, "pay", webhook_id, webhook_timestamp, webhook_signature, bank_id=bank_id
    )
    return {"payment_id": response.payment_id}


@router.post("/callbacks/partners/{partner_id}/ready", status_code=202)
async def handle_ready_callback(
    request: Request,
    partner_id: int,
    webhook_id: WebhookHeader,
    webhook_timestamp: WebhookHeader,
    webhook_signature: WebhookHeader,
) -> None:
    """Mark an order as ready."""
    await _call_with_webhook(request, "ready", webhook_id, webhook_timestamp, webhook_signature, partner_id=partner_id)


@router.post("/orders/{order_id}/assignment", response_model_exclude_none=True)
async def assign_order(request: Request, deliverer_id: DelivererId, order_id: str) -> Order:
    """Assign an order to the deliverer."""
    return await _call_for_order(request, "assign", deliverer_id, order_id)


@router.post("/orders/{order_id}/delivery", response_model_exclude_none=True)
async def complete_order(request: Request, deliverer_id: DelivererId, order_id: str) -> Order:
    """Complete a delivery."""
    return await _call_for_order(request, "complete", deliverer_id, order_id)


async def _call_for_order(request: Request, rpc: str, user_id: str, order_id: str) -> Order:
    response = await request.app.state.backend.call_rpc(rpc, user_id, order_id=order_id)
    if response is None:
        raise HTTPException(404)
    return Order.model_validate(build_order_fields(response.order))
