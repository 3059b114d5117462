"""Emulated banks: checkout page, signed callbacks, refunds and a ledger of captured and refunded amounts."""

import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.sandbox.bank.messages import (
    MAX_AMOUNT,
    CapturedPayment,
    Checkout,
    CheckoutOutcome,
    CheckoutResult,
    LedgerEntry,
    PaymentCallback,
    PaymentList,
    PaymentListRequest,
    Refund,
)
from services.sandbox.fault_injection import BankFault, BankFaultMode, FaultInjector
from services.sandbox.http_helpers import (
    HttpError,
    create_json_response,
    is_form_request,
    read_body,
    read_json_body,
)
from services.sandbox.rendering import PageRenderer, format_money
from services.sandbox.store import SqliteDatabase, format_now, format_time
from services.sandbox.webhooks import CallbackResponse, SetSecretRequest, WebhookClient

PAYMENTS_PER_PAGE = 100
_RETURN_FIELDS = ("return_url", "timestamp", "return_url_signature")
_RETURN_DELAY_S = 5
_AMOUNT_OFFSETS = {CheckoutOutcome.LESS: -1, CheckoutOutcome.MORE: 1}


class Bank:
    """Emulator of all banks, which differ only by id, secret and fault."""

    def __init__(
        self,
        database: SqliteDatabase,
        webhook_client: WebhookClient,
        fault_injector: FaultInjector,
        renderer: PageRenderer,
        public_url: str,
    ) -> None:
        self._database = database
        self._webhook_client = webhook_client
        self._fault_injector = fault_injector
        self._renderer = renderer
        self._public_url = public_url

    def build_routes(self) -> list[Route]:
        """Return the routes of the checkout, for browsers and scripts, and of the bank's API."""
        return [
            Route("/checkout/{bank_id}", self.show_checkout, methods=["GET"]),
            Route("/checkout/{bank_id}", self.submit_checkout, methods=["POST"]),
            Route("/bank/{bank_id}", self.show_ledger_page, methods=["GET"]),
            Route("/bank/{bank_id}/refunds", self.refund, methods=["POST"]),
            Route("/bank/{bank_id}/payments/list", self.list_payments, methods=["POST"]),
            Route("/bank/{bank_id}/ledger", self.list_ledger, methods=["GET"]),
            Route("/bank/{bank_id}/secret", self.set_secret, methods=["PUT"]),
            Route("/bank/{bank_id}/fault", self.set_fault, methods=["PUT", "POST"]),
        ]

    async def show_checkout(self, request: Request) -> Response:
        """Show the page of `webcheckout_url`, with fields filled in from the query, which may be unsigned.

        After a payment, the browser continues at the signed `return_url`.
        """
        bank_id = request.path_params["bank_id"]
        query = request.query_params
        self._verify_checkout(bank_id, query)
        default_callback = f"{self._public_url}/api/v1/callbacks/payments/{bank_id}"
        order_id = query.get("order_id", "")
        rows = self._database.fetch_all(
            "SELECT * FROM payments WHERE bank_id = ? AND order_id = ? ORDER BY id DESC LIMIT 20", bank_id, order_id
        )
        return_url = query.get("return_url")
        page = self._renderer.render(
            "checkout.html",
            bank_id=bank_id,
            order_id=order_id,
            amount=query.get("amount", ""),
            currency=query.get("currency", "USD"),
            callback_url=query.get("callback_url", default_callback),
            return_url=return_url,
            return_fields={name: query[name] for name in _RETURN_FIELDS if name in query},
            newest=query.get("payment_id"),
            payments=[{**row, "callbacks": msgspec.json.decode(row["callbacks"])} for row in rows],
        )
        if return_url is not None and "payment_id" in query:
            page.headers["refresh"] = f"{_RETURN_DELAY_S}; url={return_url}"
        return page

    def _verify_checkout(self, bank_id: str, query: Mapping[str, str]) -> None:
        """Raise HttpError 401 for an invalid signature. Only `return_url` needs one, since the browser follows it."""
        owner, has_valid_signature = f"bank:{bank_id}", self._webhook_client.has_valid_checkout_signature
        signed = ("amount", "currency", "callback_url")
        if "signature" in query and not has_valid_signature(owner, query, "signature", signed):
            raise HttpError(401, "invalid signature")
        if "return_url" in query and not has_valid_signature(owner, query, "return_url_signature", ("return_url",)):
            raise HttpError(401, "invalid signature of return_url")

    async def submit_checkout(self, request: Request) -> Response:
        """Process the checkout, send the callback and return its response, as JSON or on the page."""
        bank_id = request.path_params["bank_id"]
        checkout = await read_body(request, Checkout)
        result = await self._pay(bank_id, checkout)
        if not is_form_request(request):
            return create_json_response(result)
        query = {name: getattr(checkout, name) for name in ("order_id", "amount", "currency", "callback_url")}
        query |= {name: value for name in _RETURN_FIELDS if (value := getattr(checkout, name)) is not None}
        query["payment_id"] = result.payment_id
        return RedirectResponse(f"{request.url.path}?{urlencode(query)}", 303)

    async def _pay(self, bank_id: str, checkout: Checkout) -> CheckoutResult:
        amount = checkout.amount + _AMOUNT_OFFSETS.get(checkout.outcome, 0)
        if not 0 <= amount <= MAX_AMOUNT:
            raise HttpError(422, f"{checkout.outcome} would pay {format_money(amount, checkout.currency)}")
        failed = checkout.outcome is CheckoutOutcome.FAIL
        callback = PaymentCallback(
            f"pay_{secrets.token_hex(12)}",
            checkout.order_id,
            amount,
            checkout.currency,
            "failed" if failed else "succeeded",
        )
        # The payment is stored before the callback, so a crash in between leaves a payment without a callback.
        self._database.insert(
            "payments",
            bank_id=bank_id,
            payment_id=callback.payment_id,
            order_id=checkout.order_id,
            captured=0 if failed else amount,
            currency=checkout.currency,
            outcome=checkout.outcome,
            at=format_now(),
        )
        webhook_id = f"msg_{secrets.token_hex(12)}"
        responses: list[CallbackResponse] = []
        for _ in range(2 if checkout.outcome is CheckoutOutcome.TWICE else 1):
            responses.append(
                await self._webhook_client.send(f"bank:{bank_id}", checkout.callback_url, webhook_id, callback)
            )
        self._database.execute(
            "UPDATE payments SET callbacks = ? WHERE payment_id = ?",
            msgspec.json.encode(responses).decode(),
            callback.payment_id,
        )
        return CheckoutResult(callback.payment_id, responses)

    async def refund(self, request: Request) -> Response:
        """Refund a payment, idempotent by refund id."""
        bank_id = request.path_params["bank_id"]
        if not self._webhook_client.has_valid_signature(f"bank:{bank_id}", request.headers, await request.body()):
            raise HttpError(401, "invalid signature")
        refund = await read_json_body(request, Refund)
        mode = self._fault_injector.consume(f"bank:{bank_id}")
        if mode == BankFaultMode.ERROR:
            raise HttpError(503, "injected fault: error")
        if mode == BankFaultMode.REJECT:
            raise HttpError(422, "injected fault: reject")
        self._refund(bank_id, refund)
        if mode == BankFaultMode.SLOW:
            # The refund is done, but the caller's timeout expires before the response.
            await self._fault_injector.delay()
        return create_json_response(refund)

    def _refund(self, bank_id: str, refund: Refund) -> None:
        with self._database.transaction():
            existing = self._database.fetch_one(
                "SELECT * FROM refunds WHERE bank_id = ? AND refund_id = ?", bank_id, refund.refund_id
            )
            if existing is not None:
                if (existing["payment_id"], existing["amount"], existing["currency"]) != (
                    refund.payment_id,
                    refund.amount,
                    refund.currency,
                ):
                    raise HttpError(409, "refund id already used")
                return
            payment = self._database.fetch_one(
                "SELECT * FROM payments WHERE bank_id = ? AND payment_id = ?", bank_id, refund.payment_id
            )
            if payment is None:
                raise HttpError(404, "unknown payment")
            if payment["currency"] != refund.currency or payment["captured"] - payment["refunded"] < refund.amount:
                raise HttpError(422, "amount exceeds the rest of the payment, or the currency differs")
            self._database.execute(
                "UPDATE payments SET refunded = refunded + ? WHERE payment_id = ?", refund.amount, refund.payment_id
            )
            self._database.insert("refunds", bank_id=bank_id, **msgspec.structs.asdict(refund))

    def _load_ledger(self, bank_id: str) -> list[LedgerEntry]:
        rows = self._database.fetch_all(
            "SELECT payment_id, order_id, captured, refunded, currency FROM payments WHERE bank_id = ? ORDER BY id",
            bank_id,
        )
        return [LedgerEntry(**row) for row in rows]

    async def list_payments(self, request: Request) -> Response:
        """Return a page of the payments that were captured in a period, oldest first."""
        bank_id = request.path_params["bank_id"]
        if not self._webhook_client.has_valid_signature(f"bank:{bank_id}", request.headers, await request.body()):
            raise HttpError(401, "invalid signature")
        query = await read_json_body(request, PaymentListRequest)
        rows = self._database.fetch_all(
            "SELECT id, payment_id, order_id, captured, currency FROM payments"
            " WHERE bank_id = ? AND id > ? AND captured > 0 AND at >= ? AND at < ? ORDER BY id LIMIT ?",
            bank_id,
            int(query.page_token or 0),
            format_time(query.captured_since),
            format_time(query.captured_until),
            PAYMENTS_PER_PAGE,
        )
        payments = [
            CapturedPayment(row["payment_id"], row["order_id"], row["captured"], row["currency"]) for row in rows
        ]
        token = str(rows[-1]["id"]) if len(rows) == PAYMENTS_PER_PAGE else msgspec.UNSET
        return create_json_response(PaymentList(payments, token))

    async def list_ledger(self, request: Request) -> Response:
        """Return all payments of the bank, oldest first."""
        return create_json_response(self._load_ledger(request.path_params["bank_id"]))

    async def show_ledger_page(self, request: Request) -> Response:
        """Show the ledger page, with buttons for fault injection."""
        bank_id = request.path_params["bank_id"]
        entries = self._load_ledger(bank_id)[-200:][::-1]
        return self._renderer.render(
            "bank.html", bank_id=bank_id, entries=entries, fault=self._fault_injector.get(f"bank:{bank_id}")
        )

    async def set_secret(self, request: Request) -> Response:
        """Set the webhook secret of the bank."""
        self._webhook_client.set_secret(
            f"bank:{request.path_params['bank_id']}", await read_json_body(request, SetSecretRequest)
        )
        return Response(status_code=204)

    async def set_fault(self, request: Request) -> Response:
        """Set the fault of refunds: PUT with JSON, or POST from the page."""
        bank_id = request.path_params["bank_id"]
        fault = await read_body(request, BankFault)
        self._fault_injector.set(f"bank:{bank_id}", fault.mode, fault.count)
        return RedirectResponse(f"/bank/{bank_id}", 303) if is_form_request(request) else Response(status_code=204)
