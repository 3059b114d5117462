"""Partners: kitchens that take signed orders and cancellations, and tell when an order is ready."""

import secrets
import sqlite3
from collections.abc import Callable
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from services.sandbox.bank import Name, Url
from services.sandbox.faults import Faults, KitchenFault, KitchenMode
from services.sandbox.pages import Pages
from services.sandbox.signing import Answer, NewSecret, Webhooks
from services.sandbox.store import Store, now_text
from services.sandbox.web import RefusedError, convert, decode, fields, is_form, json_body, json_response

_COUNT = (
    "INSERT INTO partner_calls (partner_id, webhook_id, kind, order_id, received_at, signature_valid, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (partner_id, webhook_id, signature_valid, body) DO UPDATE SET times_received = times_received + 1"
)


_REFUSALS: dict[str, int] = {KitchenMode.ERROR: 503, KitchenMode.REFUSE: 422, KitchenMode.GONE: 410}
_ODDITIES: dict[str, Callable[[], Response]] = {
    KitchenMode.BUSY: lambda: Response(status_code=503, headers={"retry-after": "2"}),
    KitchenMode.LIE: lambda: HTMLResponse("<h1>It works!</h1>"),
    KitchenMode.REDIRECT: lambda: RedirectResponse("/kitchen/elsewhere", 307),
}


class Item(msgspec.Struct, frozen=True):
    """So many of one product."""

    product_id: Annotated[int, msgspec.Meta(ge=1)]
    title: Annotated[str, msgspec.Meta(max_length=500)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=99)]


class Order(msgspec.Struct, frozen=True):
    """What is to be cooked, and where to tell when it is."""

    order_id: Name
    items: Annotated[list[Item], msgspec.Meta(min_length=1, max_length=50)]
    callback_url: Url


class Ready(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the deliverer finds it."""

    pickup_address: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Received(msgspec.Struct, frozen=True):
    """A call as it arrived; tries with the same webhook id and body are counted, however they were answered."""

    webhook_id: str
    received_at: str
    times_received: int
    signature_valid: bool
    body: object
    kind: str
    """order or cancellation."""


class Kitchen:
    """Every partner there is; they differ by id, secret and fault only."""

    def __init__(self, store: Store, webhooks: Webhooks, faults: Faults, pages: Pages) -> None:
        self._store = store
        self._webhooks = webhooks
        self._faults = faults
        self._pages = pages

    def routes(self) -> list[Route]:
        """What a partner implements, and what its cooks see and press."""
        return [
            Route("/partner/{partner_id:int}/orders", self.take_order, methods=["POST"]),
            Route("/partner/{partner_id:int}/orders/{order_id}/cancellation", self.take_cancellation, methods=["POST"]),
            Route("/kitchen/{partner_id:int}", self.page, methods=["GET"]),
            Route("/kitchen/{partner_id:int}/orders", self.received, methods=["GET"]),
            Route("/kitchen/{partner_id:int}/orders/{order_id}/ready", self.ready, methods=["POST"]),
            Route("/kitchen/{partner_id:int}/secret", self.set_secret, methods=["PUT"]),
            Route("/kitchen/{partner_id:int}/fault", self.set_fault, methods=["PUT", "POST"]),
        ]

    async def take_order(self, request: Request) -> Response:
        """Puts the order on the board, once."""
        mode = await self._arrived(request, "order")
        if mode in _ODDITIES:
            return _ODDITIES[mode]()
        order = await json_body(request, Order)
        partner_id = request.path_params["partner_id"]
        if self._order(partner_id, order.order_id) is None:
            self._store.insert(
                "kitchen_orders",
                partner_id=partner_id,
                order_id=order.order_id,
                items=msgspec.json.encode(order.items).decode(),
                callback_url=order.callback_url,
                received_at=now_text(),
            )
        return await self._accepted(mode)

    def _order(self, partner_id: int, order_id: str) -> sqlite3.Row | None:
        return self._store.one(
            "SELECT * FROM kitchen_orders WHERE partner_id = ? AND order_id = ?", partner_id, order_id
        )

    async def take_cancellation(self, request: Request) -> Response:
        """Takes the order off the board, if it is there; again is as good as once."""
        mode = await self._arrived(request, "cancellation")
        if mode in _ODDITIES:
            return _ODDITIES[mode]()
        partner_id, order_id = request.path_params["partner_id"], request.path_params["order_id"]
        self._store.run(
            "UPDATE kitchen_orders SET cancelled = 1 WHERE partner_id = ? AND order_id = ?", partner_id, order_id
        )
        return await self._accepted(mode)

    async def _arrived(self, request: Request, kind: str) -> str:
        """Writes the call down, whatever becomes of it; the fault it meets. Raises RefusedError."""
        partner_id = request.path_params["partner_id"]
        body = await request.body()
        valid = self._webhooks.valid(f"partner:{partner_id}", request.headers, body)
        order_id = request.path_params.get("order_id") or _order_id(body)
        values = (partner_id, request.headers.get("webhook-id", ""), kind, order_id, now_text(), int(valid))
        self._store.run(_COUNT, *values, body.decode(errors="replace"))
        if not valid:
            raise RefusedError(401, "the signature does not verify")
        mode = self._faults.take(f"partner:{partner_id}")
        if mode in _REFUSALS:
            raise RefusedError(_REFUSALS[mode], f"told to say so: {mode}")
        return mode

    async def _accepted(self, mode: str) -> Response:
        if mode == KitchenMode.SLOW:  # taken, but the caller may be gone before it hears so
            await self._faults.linger()
        return Response(status_code=204)

    async def received(self, request: Request) -> Response:
        """Every call of the partner, oldest first."""
        rows = self._store.all(
            "SELECT * FROM partner_calls WHERE partner_id = ? ORDER BY id", request.path_params["partner_id"]
        )
        return json_response([_received(row) for row in rows])

    async def ready(self, request: Request) -> Response:
        """Tells that the order is ready, at the address that came with it, also when it was cancelled meanwhile."""
        partner_id, order_id = request.path_params["partner_id"], request.path_params["order_id"]
        by_page = is_form(request)
        body = convert(await fields(request), Ready) if by_page else await json_body(request, Ready)
        order = self._order(partner_id, order_id)
        if order is None:
            raise RefusedError(404, "the kitchen has taken no such order")
        content = {"order_id": order_id, "pickup_address": body.pickup_address}
        webhook_id = f"msg_{secrets.token_hex(12)}"
        answer: Answer = await self._webhooks.send(f"partner:{partner_id}", order["callback_url"], webhook_id, content)
        self._store.run(
            "UPDATE kitchen_orders SET answer = ? WHERE id = ?", msgspec.json.encode(answer).decode(), order["id"]
        )
        return RedirectResponse(f"/kitchen/{partner_id}", 303) if by_page else json_response(answer)

    async def page(self, request: Request) -> Response:
        """The board, newest first, with a button for each order and the fault switches."""
        partner_id = request.path_params["partner_id"]
        orders = self._store.all(
            "SELECT * FROM kitchen_orders WHERE partner_id = ? ORDER BY id DESC LIMIT 100", partner_id
        )
        calls = self._store.all(
            "SELECT * FROM partner_calls WHERE partner_id = ? ORDER BY id DESC LIMIT 100", partner_id
        )
        return self._pages.render(
            "kitchen.html",
            partner_id=partner_id,
            orders=[
                {
                    **row,
                    "items": msgspec.json.decode(row["items"]),
                    "answer": row["answer"] and msgspec.json.decode(row["answer"]),
                }
                for row in orders
            ],
            calls=calls,
            fault=self._faults.get(f"partner:{partner_id}"),
        )

    async def set_secret(self, request: Request) -> Response:
        """The secret we and the partner share from now on."""
        self._webhooks.set_secret(f"partner:{request.path_params['partner_id']}", await json_body(request, NewSecret))
        return Response(status_code=204)

    async def set_fault(self, request: Request) -> Response:
        """How orders and cancellations fail; PUT by scripts, POST by the page."""
        partner_id = request.path_params["partner_id"]
        by_page = is_form(request)
        fault = convert(await fields(request), KitchenFault) if by_page else await json_body(request, KitchenFault)
        self._faults.set(f"partner:{partner_id}", fault.mode, fault.count)
        return RedirectResponse(f"/kitchen/{partner_id}", 303) if by_page else Response(status_code=204)


class _Named(msgspec.Struct):
    order_id: str = ""


def _order_id(body: bytes) -> str:
    """What the body calls itself; a body that cannot be read has no name, and is refused later."""
    try:
        return decode(body, _Named).order_id
    except RefusedError:
        return ""


def _received(row: sqlite3.Row) -> Received:
    try:
        body: object = msgspec.json.decode(row["body"])
    except msgspec.DecodeError:
        body = row["body"]
    return Received(
        row["webhook_id"], row["received_at"], row["times_received"], bool(row["signature_valid"]), body, row["kind"]
    )
