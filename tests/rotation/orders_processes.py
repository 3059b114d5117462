"""Processes of orders that are replaced one by one, and requests that are sent to all of them meanwhile."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc.aio
import msgspec
from betterproto2 import Message

from deploy.local.mesh_config import ROOT
from generated.proto.delivery.orders import v1
from generated.proto.delivery.orders.v1 import rpc
from services.runtime.core.clock import now
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from services.runtime.outbound import webhooks
from services.runtime.rpc.health_check import is_serving
from services.runtime.rpc.method import Method
from tests.integration.fixtures.orders import ADA
from tests.integration.fixtures.orders import ROOT as ADMIN
from tests.integration.fixtures.payload_interceptor import PayloadInterceptor
from tests.wait import tick, wait_until_async

INTERVAL_S = 0.2
"""Interval between two sequences of requests, each of several calls."""

MIN_SEQUENCES = 5
"""Sequences between two replacements."""

START_TIMEOUT_S = 60.0
AMOUNT = 200


class OrdersProcess:
    """Process of orders without its sidecar, with a folder of its own for its sockets."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        folder.mkdir()
        socket = folder / "orders.sock"
        self._target = f"unix:{socket}"
        self._environment = os.environ | settings | {"SERVICE_SOCKET": str(socket), "LOG_LEVEL": "ERROR"}
        self._environment.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)  # no collector is running
        self._process: asyncio.subprocess.Process | None = None
        self._channels: list[grpc.aio.Channel] = []
        self._stubs: dict[Principal, rpc.OrdersStub] = {}

    async def start(self) -> None:
        """Start the process, and wait until it serves requests."""
        command = (sys.executable, "-m", "services.orders", "serve")
        self._process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=self._environment)
        await wait_until_async(lambda: asyncio.to_thread(is_serving, self._target), START_TIMEOUT_S)
        for principal in (ADA, ADMIN):
            channel = grpc.aio.insecure_channel(
                self._target,
                interceptors=[PayloadInterceptor(principal)],
                options=[("grpc.use_local_subchannel_pool", 1)],
            )
            self._channels.append(channel)
            self._stubs[principal] = rpc.OrdersStub(channel)

    async def stop(self) -> None:
        """Stop the process with SIGTERM, after which it finishes its requests, and assert its exit status 0."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        assert await self._process.wait() == 0
        for channel in self._channels:
            await channel.close()
        self._channels.clear()

    async def restart(self, changes: Mapping[str, str]) -> None:
        """Replace the process by one with changed settings."""
        await self.stop()
        self._environment |= changes
        await self.start()

    async def call[Request: Message, Response: Message](
        self, method: Method[Request, Response], request: Request, principal: Principal
    ) -> Response:
        """Call a method of orders as a user."""
        return await self._stubs[principal].call_unary(method, request, None)


class OrdersProcesses:
    """Processes of orders, and the requests that are distributed to them at random.

    A process receives no request from the beginning of its replacement, as a pod that is removed from its endpoints.
    """

    def __init__(self, processes: list[OrdersProcess]) -> None:
        self._all = processes
        self._serving = [*processes]
        self.sequences = 0
        self.paid_orders: list[str] = []
        self.bank_secrets: dict[str, str] = {}
        """The replaced secret of each bank, which is valid for a day."""

    async def call[Request: Message, Response: Message](
        self, method: Method[Request, Response], request: Request, principal: Principal = ADMIN
    ) -> Response:
        """Call a method of any serving process. Raises ApiError."""
        return await random.choice(self._serving).call(method, request, principal)  # noqa: S311 (not a secret)

    async def restart(self, number: int, **changes: str) -> None:
        """Replace a process by one with changed settings, and wait for requests before the next replacement."""
        process = self._all[number]
        self._serving.remove(process)
        await process.restart(changes)
        self._serving.append(process)
        await self.wait_for_requests()

    async def wait_for_requests(self) -> None:
        """Wait for so many sequences that each process has probably served each request."""
        target = self.sequences + MIN_SEQUENCES
        await wait_until_async(lambda: self.sequences >= target)

    async def send_requests(self) -> None:
        """Send sequences of requests without end, and raise the error of the first one that fails."""
        async for _ in tick(INTERVAL_S):
            await self._send_sequence()
            self.sequences += 1

    async def pay_new_order(self, bank_id: str, secret: str) -> None:
        """Create an order and report its payment as the bank does."""
        order_id = await self._create_order(bank_id)
        body = msgspec.json.encode(
            {
                "payment_id": generate_id(),
                "order_id": order_id,
                "amount": AMOUNT,
                "currency": "USD",
                "status": "succeeded",
            }
        )
        headers = webhooks.sign_message(generate_id(), now(), body, secret)
        callback = v1.HandlePaymentCallbackRequest(
            bank_id=bank_id,
            webhook_id=headers["webhook-id"],
            webhook_timestamp=headers["webhook-timestamp"],
            webhook_signature=headers["webhook-signature"],
            body=body,
        )
        await self.call(rpc.HANDLE_PAYMENT_CALLBACK, callback)
        self.paid_orders.append(order_id)

    async def is_history_complete(self, order_id: str) -> bool:
        """Return whether the events of a paid order have been published and consumed."""
        request = v1.GetOrderHistoryRequest(order_id=order_id, page_size=10)
        response = await self.call(rpc.GET_ORDER_HISTORY, request, ADA)
        return [each.status for each in response.items] == [v1.OrderStatus.PENDING, v1.OrderStatus.PAID]

    async def _send_sequence(self) -> None:
        """Send requests that write and read each kind of stored secret, and two pages of a list."""
        bank_id = generate_id().lower().replace("_", "-")
        bank = v1.CreateBankRequest(
            id=bank_id,
            title="North",
            webcheckout_url="https://bank.example",
            api_url="https://bank.example",
            active=True,
        )
        secret = (await self.call(rpc.CREATE_BANK, bank)).webhook_secret
        assert secret is not None
        await self.pay_new_order(bank_id, secret)
        rotated = await self.call(rpc.ROTATE_BANK_SECRET, v1.RotateBankSecretRequest(bank_id=bank_id))
        await self.pay_new_order(bank_id, secret)
        await self.pay_new_order(bank_id, rotated.webhook_secret)
        self.bank_secrets[bank_id] = secret
        page_token = (await self.call(rpc.LIST_ORDERS, v1.ListOrdersRequest(page_size=1))).next_page_token
        assert page_token is not None
        await self.call(rpc.LIST_ORDERS, v1.ListOrdersRequest(page_size=1, page_token=page_token))

    async def _create_order(self, bank_id: str) -> str:
        basket = v1.CheckedBasket(
            partner=v1.OrderPartner(id=1, title="Green Bowl", brand="B"),
            items=[v1.OrderItem(product_id=1, title="L", quantity=2, price=AMOUNT // 2)],
            total_amount=AMOUNT,
            currency="USD",
            bank_id=bank_id,
            delivery_address="1 Long Street",
        )
        created = await self.call(rpc.CREATE_ORDER, v1.CreateOrderRequest(check_id=generate_id(), basket=basket), ADA)
        assert created.order is not None
        return created.order.id


@asynccontextmanager
async def running_processes(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[OrdersProcesses]:
    """Run two processes of orders, and send requests to them. Raises the error of the first request that fails."""
    all_processes = [OrdersProcess(folder / str(number), settings) for number in range(2)]
    async with AsyncExitStack() as stack:
        for process in all_processes:
            await process.start()
            stack.push_async_callback(process.stop)
        processes = OrdersProcesses(all_processes)
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(processes.send_requests())
            await processes.wait_for_requests()
            yield processes
            await processes.wait_for_requests()
            load.cancel()
