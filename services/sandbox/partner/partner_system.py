"""Emulated partner systems, which accept signed orders and cancellations and report when an order is ready."""

import secrets
import sqlite3
from collections.abc import Callable
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from services.sandbox.bank.messages import Identifier, Url
from services.sandbox.fault_injection import FaultInjector, PartnerFault, PartnerFaultMode
from services.sandbox.http_helpers import (
    HttpError,
    create_json_response,
    decode_json,
    is_form_request,
    read_body,
    read_json_body,
)
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase, format_now
from services.sandbox.webhooks import CallbackResponse, SetSecretRequest, WebhookClient

_RECORD_CALL = (
    "INSERT INTO partner_calls (partner_id, webhook_id, kind, order_id, received_at, signature_valid, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (partner_id, webhook_id, signature_valid, body) DO UPDATE SET times_received = times_received + 1"
)


_FAULT_STATUSES: dict[str, int] = {
    PartnerFaultMode.ERROR: 503,
    PartnerFaultMode.REJECT: 422,
    PartnerFaultMode.GONE: 410,
}
_FAULT_RESPONSES: dict[str, Callable[[], Response]] = {
    PartnerFaultMode.BUSY: lambda: Response(status_code=503, headers={"retry-after": "2"}),
    PartnerFaultMode.INVALID_RESPONSE: lambda: HTMLResponse("<h1>It works!</h1>"),
    PartnerFaultMode.REDIRECT: lambda: RedirectResponse("/kitchen/elsewhere", 307),
}


class OrderItem(msgspec.Struct, frozen=True):
    """A product and its quantity."""

    product_id: Annotated[int, msgspec.Meta(ge=1)]
    title: Annotated[str, msgspec.Meta(max_length=500)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=99)]


class PartnerOrder(msgspec.Struct, frozen=True):
    """An order to prepare, with the URL of the ready callback."""

    order_id: Identifier
    items: Annotated[list[OrderItem], msgspec.Meta(min_length=1, max_length=50)]
    callback_url: Url
    note: Annotated[str, msgspec.Meta(max_length=500)] | None = None


class ReadyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Request to report an order as ready for pickup."""

    pickup_address: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ReceivedCall(msgspec.Struct, frozen=True):
    """A received call. Attempts with the same webhook id and body are counted, regardless of the response."""

    webhook_id: str
    received_at: str
    times_received: int
    signature_valid: bool
    body: object
    kind: str
    """`order` or `cancellation`."""


class PartnerSystem:
    """Emulator of all partner systems, which differ only by id, secret and fault."""

    def __init__(
        self,
        database: SqliteDatabase,
        webhook_client: WebhookClient,
        fault_injector: FaultInjector,
        renderer: PageRenderer,
    ) -> None:
        self._database = database
        self._webhook_client = webhook_client
        self._fault_injector = fault_injector
        self._renderer = renderer

    def build_routes(self) -> list[Route]:
        """Return the routes of the partner API and of the kitchen page."""
        return [
            Route("/partner/{partner_id:int}/orders", self.accept_order, methods=["POST"]),
            Route(
                "/partner/{partner_id:int}/orders/{order_id}/cancellation", self.accept_cancellation, methods=["POST"]
            ),
            Route("/kitchen/{partner_id:int}", self.show_orders_page, methods=["GET"]),
            Route("/kitchen/{partner_id:int}/orders", self.list_received_calls, methods=["GET"]),
            Route("/kitchen/{partner_id:int}/orders/{order_id}/ready", self.mark_order_ready, methods=["POST"]),
            Route("/kitchen/{partner_id:int}/secret", self.set_secret, methods=["PUT"]),
            Route("/kitchen/{partner_id:int}/fault", self.set_fault, methods=["PUT", "POST"]),
        ]

    async def accept_order(self, request: Request) -> Response:
        """Accept an order, idempotent by order id."""
        mode = await self._record_call(request, "order")
        if mode in _FAULT_RESPONSES:
            return _FAULT_RESPONSES[mode]()
        order = await read_json_body(request, PartnerOrder)
        partner_id = request.path_params["partner_id"]
        if self._find_order(partner_id, order.order_id) is None:
            self._database.insert(
                "partner_orders",
                partner_id=partner_id,
                order_id=order.order_id,
                items=msgspec.json.encode(order.items).decode(),
                callback_url=order.callback_url,
                received_at=format_now(),
            )
        return await self._respond_accepted(mode)

    def _find_order(self, partner_id: int, order_id: str) -> sqlite3.Row | None:
        return self._database.fetch_one(
            "SELECT * FROM partner_orders WHERE partner_id = ? AND order_id = ?", partner_id, order_id
        )

    async def accept_cancellation(self, request: Request) -> Response:
        """Mark an order as cancelled, if it exists. Idempotent."""
        mode = await self._record_call(request, "cancellation")
        if mode in _FAULT_RESPONSES:
            return _FAULT_RESPONSES[mode]()
        partner_id, order_id = request.path_params["partner_id"], request.path_params["order_id"]
        self._database.execute(
            "UPDATE partner_orders SET cancelled = 1 WHERE partner_id = ? AND order_id = ?", partner_id, order_id
        )
        return await self._respond_accepted(mode)

    async def _record_call(self, request: Request, kind: str) -> str:
        """Record the call and return the active fault mode.

        Raises HttpError 401 for an invalid signature, or with the status of an injected fault.
        """
        partner_id = request.path_params["partner_id"]
        body = await request.body()
        is_valid = self._webhook_client.has_valid_signature(f"partner:{partner_id}", request.headers, body)
        order_id = request.path_params.get("order_id") or _parse_order_id(body)
        values = (partner_id, request.headers.get("webhook-id", ""), kind, order_id, format_now(), int(is_valid))
        self._database.execute(_RECORD_CALL, *values, body.decode(errors="replace"))
        if not is_valid:
            raise HttpError(401, "invalid signature")
        mode = self._fault_injector.consume(f"partner:{partner_id}")
        if mode in _FAULT_STATUSES:
            raise HttpError(_FAULT_STATUSES[mode], f"injected fault: {mode}")
        return mode

    async def _respond_accepted(self, mode: str) -> Response:
        if mode == PartnerFaultMode.SLOW:  # accepted, but the caller's timeout expires before the response
            await self._fault_injector.delay()
        return Response(status_code=204)

    async def list_received_calls(self, request: Request) -> Response:
        """Return all calls that the partner received, oldest first."""
        rows = self._database.fetch_all(
            "SELECT * FROM partner_calls WHERE partner_id = ? ORDER BY id", request.path_params["partner_id"]
        )
        return create_json_response([_received_call_from_row(row) for row in rows])

    async def mark_order_ready(self, request: Request) -> Response:
        """Send the ready callback of an order, even if the order has been cancelled."""
        partner_id, order_id = request.path_params["partner_id"], request.path_params["order_id"]
        body = await read_body(request, ReadyRequest)
        order = self._find_order(partner_id, order_id)
        if order is None:
            raise HttpError(404, "unknown order")
        content = {"order_id": order_id, "pickup_address": body.pickup_address}
        webhook_id = f"msg_{secrets.token_hex(12)}"
        response: CallbackResponse = await self._webhook_client.send(
            f"partner:{partner_id}", order["callback_url"], webhook_id, content
        )
        self._database.execute(
            "UPDATE partner_orders SET callback_response = ? WHERE id = ?",
            msgspec.json.encode(response).decode(),
            order["id"],
        )
        is_form = is_form_request(request)
        return RedirectResponse(f"/kitchen/{partner_id}", 303) if is_form else create_json_response(response)

    async def show_orders_page(self, request: Request) -> Response:
        """Show the kitchen page: orders, newest first, received calls, and buttons for fault injection."""
        partner_id = request.path_params["partner_id"]
        orders = self._database.fetch_all(
            "SELECT * FROM partner_orders WHERE partner_id = ? ORDER BY id DESC LIMIT 100", partner_id
        )
        calls = self._database.fetch_all(
            "SELECT * FROM partner_calls WHERE partner_id = ? ORDER BY id DESC LIMIT 100", partner_id
        )
        notes = {call["order_id"]: _parse_note(call["body"]) for call in calls if call["kind"] == "order"}
        return self._renderer.render(
            "kitchen.html",
            partner_id=partner_id,
            orders=[
                {
                    **row,
                    "items": msgspec.json.decode(row["items"]),
                    "note": notes.get(row["order_id"]),
                    "callback_response": row["callback_response"] and msgspec.json.decode(row["callback_response"]),
                }
                for row in orders
            ],
            calls=calls,
            fault=self._fault_injector.get(f"partner:{partner_id}"),
        )

    async def set_secret(self, request: Request) -> Response:
        """Set the webhook secret of the partner."""
        self._webhook_client.set_secret(
            f"partner:{request.path_params['partner_id']}", await read_json_body(request, SetSecretRequest)
        )
        return Response(status_code=204)

    async def set_fault(self, request: Request) -> Response:
        """Set the fault of orders and cancellations: PUT with JSON, or POST from the page."""
        partner_id = request.path_params["partner_id"]
        fault = await read_body(request, PartnerFault)
        self._fault_injector.set(f"partner:{partner_id}", fault.mode, fault.count)
        is_form = is_form_request(request)
        return RedirectResponse(f"/kitchen/{partner_id}", 303) if is_form else Response(status_code=204)


def _parse_note(body: str) -> str | None:
    """Return the customer's message in the body of a call, which may be invalid."""
    try:
        return decode_json(body.encode(), PartnerOrder).note
    except HttpError:
        return None


class _OrderIdBody(msgspec.Struct):
    order_id: str = ""


def _parse_order_id(body: bytes) -> str:
    """Return the order id of a body, or an empty string for an invalid body, which is rejected later."""
    try:
        return decode_json(body, _OrderIdBody).order_id
    except HttpError:
        return ""


def _received_call_from_row(row: sqlite3.Row) -> ReceivedCall:
    try:
        body: object = msgspec.json.decode(row["body"])
    except msgspec.DecodeError:
        body = row["body"]
    return ReceivedCall(
        row["webhook_id"], row["received_at"], row["times_received"], bool(row["signature_valid"]), body, row["kind"]
    )
