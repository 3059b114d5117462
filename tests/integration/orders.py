"""The orders service without its doors, on real servers."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from generated.events import EVENTS, OrdersEvent
from services.orders import usecases
from services.orders.documents import OrdersDocuments
from services.orders.domain import Basket, Item, Order, Partner
from services.orders.store import OrdersStore
from services.runtime import documents, webhooks
from services.runtime.broker import Broker
from services.runtime.clock import now
from services.runtime.database import Database
from services.runtime.ids import new_id
from services.runtime.outbox import Outbox, Relay
from services.runtime.principal import Principal
from services.runtime.vault import Vault
from services.runtime.webhooks import SignedRequest

ADA = Principal("ada", "customer", "ada@delivery.test", True, now() + timedelta(hours=1))
ROOT = Principal("root", "admin", "root@delivery.test", True, now() + timedelta(hours=1))
BASKET = Basket(Partner(1, "Green Bowl", "B"), (Item(1, "L", 2, 100),), 200, "USD", "visa", "1 Long Street", None, None)


class Orders:
    """The service's stores, and shortcuts to what is done with them."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.database = Database(settings["DATABASE_URL"])
        self.broker = Broker(settings["BROKER_URL"], "test")
        self.client, collections = documents.connect(settings["DOCUMENTS_URL"])
        self.documents = OrdersDocuments(collections)
        self.store = OrdersStore(self.database, Outbox[OrdersEvent](EVENTS))
        self.vault = Vault(settings["ENCRYPTION_KEY"])
        self.secret = settings["DEMO_WEBHOOK_SECRET"]

    def relay(self) -> Relay:
        """One of its relays."""
        return Relay("orders", self.database, self.broker)

    async def sql(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """What no use case of the service does or shows."""
        async with self.database.connection() as connection:
            cursor = await connection.connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def waiting(self) -> int:
        """How many events have not left."""
        return int((await self.sql("SELECT count(*) AS n FROM outbox"))[0]["n"])

    async def pay(self, order_id: str, amount: int = 200, webhook_id: str | None = None, **changed: Any) -> str:
        """A callback of the bank `visa`, unless `bank_id` is another."""
        bank_id = changed.pop("bank_id", "visa")
        said = {"payment_id": new_id(), "order_id": order_id, "amount": amount, "currency": "USD"}
        body = msgspec.json.encode(said | {"status": "succeeded"} | changed)
        headers = webhooks.sign(webhook_id or new_id(), now(), body, self.secret)
        request = SignedRequest(headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], body)
        return await usecases.pay_order(self.store, self.vault, now, bank_id, request)

    async def place(self, check_id: str | None = None) -> str:
        """Ada's order of 200."""
        async with self.store.unit() as unit:
            order, _ = await usecases.create_order(unit, now, new_id, ADA, check_id or new_id(), BASKET)
        return order.id

    async def get(self, order_id: str) -> Order:
        """As it stands."""
        order = await self.store.order(order_id)
        assert order is not None
        return order
