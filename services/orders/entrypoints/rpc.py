"""gRPC servicer of orders: maps messages to use cases and back."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import aclosing
from dataclasses import asdict
from functools import partial

from generated.proto.delivery.orders import v1
from generated.proto.delivery.orders.v1.rpc import OrdersServicer
from services.orders import usecases
from services.orders.domain.addresses import Coordinates
from services.orders.domain.orders import Bank, OrderStatus, RefundStatus
from services.orders.domain.payments import PaymentFilter
from services.orders.domain.refund_actions import RefundFilter
from services.orders.entrypoints.payment_callback import parse_payment
from services.orders.entrypoints.payment_instructions import PaymentInstructionsBuilder
from services.orders.entrypoints.proto_mapping import (
    FIELD_POINTERS,
    bank_to_proto,
    encode_created_bank,
    encode_created_order,
    order_to_proto,
    order_update_to_proto,
    refund_to_proto,
)
from services.orders.entrypoints.request_mapping import order_request_from_proto, parse_status
from services.orders.usecases.order_tracking import OrderChangeListener
from services.orders.usecases.ports import HistoryRepository, Repository
from services.runtime.core.clock import Clock
from services.runtime.core.idempotency import build_idempotency_key
from services.runtime.core.preconditions import list_expected_versions
from services.runtime.core.principal import Principal
from services.runtime.outbound import webhook_secrets, webhooks
from services.runtime.rpc.codec import PreEncoded, get_codec
from services.runtime.storage.encryption import SecretBox


class OrdersRpc(OrdersServicer):
    """Implementation of the generated `OrdersServicer`."""

    FIELD_POINTERS = FIELD_POINTERS

    def __init__(
        self,
        repository: Repository,
        history: HistoryRepository,
        change_listener: OrderChangeListener,
        secret_box: SecretBox,
        clock: Clock,
        derive_id: Callable[[str], str],
        public_url: str,
        return_url_origins: Collection[str],
    ) -> None:
        self._repository = repository
        self._history = history
        self._change_listener = change_listener
        self._secret_box = secret_box
        self._clock = clock
        self._derive_id = derive_id
        self._payment_instructions = PaymentInstructionsBuilder(public_url, secret_box, clock)
        self._return_url_origins = return_url_origins

    async def list_banks(self, request: v1.ListBanksRequest) -> v1.ListBanksResponse:
        """Return a page of active banks."""
        page = await usecases.list_banks(self._repository, request.page_size, request.page_token)
        items = [v1.BankSummary(id=bank.id, title=bank.title) for bank in page.items]
        return v1.ListBanksResponse(items=items, next_page_token=page.next_page_token)

    async def list_registered_banks(
        self, request: v1.ListRegisteredBanksRequest, principal: Principal
    ) -> v1.ListRegisteredBanksResponse:
        """Return a page of all banks."""
        page = await usecases.list_registered_banks(
            self._repository, principal, request.page_size, request.page_token, request.active
        )
        return v1.ListRegisteredBanksResponse(
            items=list(map(bank_to_proto, page.items)), next_page_token=page.next_page_token
        )

    async def create_order(
        self, request: v1.CreateOrderRequest, principal: Principal
    ) -> PreEncoded[v1.CreateOrderResponse]:
        """Create the order of a checked basket and return it with payment instructions."""
        return_url = usecases.check_return_url(request.return_url, self._return_url_origins)
        # Without a return URL, the fingerprint equals that of earlier releases, whose keys are still stored.
        parameters = request.check_id if return_url is None else (request.check_id, return_url)
        response = await usecases.create_order(
            self._repository,
            self._clock,
            self._derive_id,
            principal,
            order_request_from_proto(request),
            build_idempotency_key(principal, "confirmOrder", request.idempotency_key, parameters),
            partial(encode_created_order, partial(self._payment_instructions.build, return_url=return_url)),
        )
        return get_codec().extend(response.data, v1.CreateOrderResponse(replayed=True) if response.replayed else None)

    async def create_bank(
        self, request: v1.CreateBankRequest, principal: Principal
    ) -> PreEncoded[v1.CreateBankResponse]:
        """Register a bank. Return it with its webhook secret, which a replayed response does not contain."""
        bank_fields = (request.id, request.title, request.webcheckout_url, request.api_url, request.active)
        secret = webhook_secrets.generate_secret()
        response = await usecases.create_bank(
            self._repository,
            principal,
            Bank(*bank_fields, self._secret_box.encrypt(secret)),
            build_idempotency_key(principal, "createBank", request.idempotency_key, bank_fields),
            encode_created_bank,
        )
        webhook_secret = None if response.replayed else secret
        return get_codec().extend(
            response.data, v1.CreateBankResponse(webhook_secret=webhook_secret, replayed=response.replayed)
        )

    async def get_bank(self, request: v1.GetBankRequest, principal: Principal) -> v1.GetBankResponse:
        """Return a bank."""
        bank = await usecases.get_bank(self._repository, principal, request.bank_id)
        return v1.GetBankResponse(bank=bank_to_proto(bank), version=bank.version)

    async def update_bank(self, request: v1.UpdateBankRequest, principal: Principal) -> v1.UpdateBankResponse:
        """Update the fields that the request sets."""
        values = {name: getattr(request, name) for name in ("title", "webcheckout_url", "api_url", "active")}
        changes = {name: value for name, value in values.items() if value is not None}
        expected = list_expected_versions(request.version, request.versions)
        bank = await usecases.update_bank(self._repository, principal, request.bank_id, expected, changes)
        return v1.UpdateBankResponse(bank=bank_to_proto(bank), version=bank.version)

    async def rotate_bank_secret(
        self, request: v1.RotateBankSecretRequest, principal: Principal
    ) -> v1.RotateBankSecretResponse:
        """Replace the bank's webhook secret and return the new one."""
        key = build_idempotency_key(principal, "rotateBankSecret", request.idempotency_key, request.bank_id)
        rotated = await usecases.rotate_bank_secret(
            self._repository, self._secret_box, self._clock, principal, request.bank_id, key
        )
        return v1.RotateBankSecretResponse(webhook_secret=rotated.secret, replayed=rotated.replayed)

    async def list_payments(self, request: v1.ListPaymentsRequest, principal: Principal) -> v1.ListPaymentsResponse:
        """Return a page of payments."""
        payment_filter = PaymentFilter(request.order_id, request.bank_id)
        page = await usecases.list_payments(
            self._history, principal, request.page_size, request.page_token, payment_filter
        )
        items = [
            v1.Payment(**(asdict(record) | {"outcome": v1.PaymentOutcome[record.outcome.name]}))
            for record in page.items
        ]
        return v1.ListPaymentsResponse(items=items, next_page_token=page.next_page_token)

    async def list_refunds(self, request: v1.ListRefundsRequest, principal: Principal) -> v1.ListRefundsResponse:
        """Return a page of refunds."""
        status = parse_status(RefundStatus, request.status)
        refund_filter = RefundFilter(request.order_id, request.bank_id, status)
        page = await usecases.list_refunds(
            self._repository, principal, request.page_size, request.page_token, refund_filter
        )
        items = [refund_to_proto(report) for report in page.items]
        return v1.ListRefundsResponse(items=items, next_page_token=page.next_page_token)

    async def retry_refund(self, request: v1.RetryRefundRequest, principal: Principal) -> v1.RetryRefundResponse:
        """Request a failed refund again, or send a requested one now."""
        report = await usecases.retry_refund(self._repository, self._clock, principal, request.refund_id)
        return v1.RetryRefundResponse(refund=refund_to_proto(report))

    async def settle_refund(self, request: v1.SettleRefundRequest, principal: Principal) -> v1.SettleRefundResponse:
        """Record that the money of a failed refund was returned by other means."""
        report = await usecases.settle_refund(self._repository, self._clock, principal, request.refund_id, request.note)
        return v1.SettleRefundResponse(refund=refund_to_proto(report))

    async def watch_order(
        self, request: v1.WatchOrderRequest, principal: Principal
    ) -> AsyncIterator[v1.WatchOrderResponse]:
        """Stream the order's status, every later change, and positions of the deliverer."""
        updates = usecases.watch_order(
            self._repository, self._change_listener, self._clock, principal, request.order_id, request.after_version
        )
        async with aclosing(updates):
            async for update in updates:
                yield order_update_to_proto(update)

    async def get_order(self, request: v1.GetOrderRequest, principal: Principal) -> v1.GetOrderResponse:
        """Return an order."""
        order = await usecases.get_order(self._repository, principal, request.order_id)
        return v1.GetOrderResponse(order=order_to_proto(order))

    async def get_payment_instructions(
        self, request: v1.GetPaymentInstructionsRequest, principal: Principal
    ) -> v1.GetPaymentInstructionsResponse:
        """Return the payment instructions of a pending order."""
        return_url = usecases.check_return_url(request.return_url, self._return_url_origins)
        order, bank = await usecases.get_checkout(self._repository, principal, request.order_id)
        return v1.GetPaymentInstructionsResponse(payment=self._payment_instructions.build(order, bank, return_url))

    async def list_orders(self, request: v1.ListOrdersRequest, principal: Principal) -> v1.ListOrdersResponse:
        """Return a page of orders."""
        status = parse_status(OrderStatus, request.status)
        page = await usecases.list_orders(self._repository, principal, request.page_size, request.page_token, status)
        return v1.ListOrdersResponse(
            items=[order_to_proto(order) for order in page.items], next_page_token=page.next_page_token
        )

    async def list_available_deliveries(
        self, request: v1.ListAvailableDeliveriesRequest, principal: Principal
    ) -> v1.ListAvailableDeliveriesResponse:
        """Return a page of orders that are ready for pickup."""
        page = await usecases.list_available_deliveries(self._repository, request.page_size, request.page_token)
        items = [order_to_proto(order) for order in page.items]
        return v1.ListAvailableDeliveriesResponse(items=items, next_page_token=page.next_page_token)

    async def handle_payment_callback(
        self, request: v1.HandlePaymentCallbackRequest
    ) -> v1.HandlePaymentCallbackResponse:
        """Parse and verify a payment callback, and record its payment."""
        payment_id = await usecases.handle_payment_callback(
            self._repository,
            self._secret_box,
            self._clock,
            parse_payment(request),
            request.webhook_id,
            webhooks.create_verifier(request),
        )
        return v1.HandlePaymentCallbackResponse(payment_id=payment_id)

    async def cancel_order(self, request: v1.CancelOrderRequest, principal: Principal) -> v1.CancelOrderResponse:
        """Cancel an order."""
        order = await usecases.cancel_order(self._repository, self._clock, principal, request.order_id, request.reason)
        return v1.CancelOrderResponse(order=order_to_proto(order))

    async def assign_order(self, request: v1.AssignOrderRequest, principal: Principal) -> v1.AssignOrderResponse:
        """Assign a ready order to the calling deliverer."""
        order = await usecases.assign_order(self._repository, self._clock, principal, request.order_id)
        return v1.AssignOrderResponse(order=order_to_proto(order))

    async def report_deliverer_position(
        self, request: v1.ReportDelivererPositionRequest, principal: Principal
    ) -> v1.ReportDelivererPositionResponse:
        """Replace the position of the deliverer."""
        coordinates = Coordinates(request.latitude, request.longitude)
        await usecases.report_deliverer_position(
            self._repository, self._clock, principal, request.order_id, coordinates
        )
        return v1.ReportDelivererPositionResponse()

    async def complete_order(self, request: v1.CompleteOrderRequest, principal: Principal) -> v1.CompleteOrderResponse:
        """Mark an order as delivered."""
        order = await usecases.complete_order(self._repository, self._clock, principal, request.order_id)
        return v1.CompleteOrderResponse(order=order_to_proto(order))

    async def get_order_history(
        self, request: v1.GetOrderHistoryRequest, principal: Principal
    ) -> v1.GetOrderHistoryResponse:
        """Return a page of an order's history."""
        page = await usecases.get_history(
            self._repository, self._history, principal, request.order_id, request.page_size, request.page_token
        )
        items = [
            v1.HistoryEntry(status=v1.OrderStatus[entry.status.name], at=entry.at, actor=entry.actor, note=entry.note)
            for entry in page.items
        ]
        return v1.GetOrderHistoryResponse(items=items, next_page_token=page.next_page_token)
