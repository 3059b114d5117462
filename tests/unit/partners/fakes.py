"""In-memory fakes of the repository and the partner systems."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.partners.domain.call_policy import Call, CallKind, CallState, PartnerResponse
from services.partners.domain.partners import Availability, Offer, Partner, Product
from services.partners.usecases.ports import CatalogEntry, CatalogOffer
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from tests.unit.fake_transactions import NOW, FakeTransactions, build_principal

ADMIN = build_principal("admin", "root")
ADA = build_principal("customer")
BOWL = Partner(
    id=1,
    title="Green Bowl",
    brand="Bowls",
    phone="+12025550101",
    email="bowl@delivery.test",
    address="1 Market Square",
    api_url="https://bowl.test",
    verified=True,
    enabled=True,
    webhook_secret=b"encrypted",
)
LEMONADE = Product(7, "Lemonade", "Cold.", None)
PRICE = Availability(100, "USD", active=True)
CALL = Call(
    id="c1",
    partner_id=1,
    order_id="o1",
    kind=CallKind.ORDER,
    payload={"order_id": "o1"},
    trace={},
    state=CallState.WAITING,
    attempts=1,
    next_at=NOW,
    created_at=NOW,
)


class FakeRepository(FakeTransactions):
    """Partners, products, prices, calls and circuit breakers."""

    def __init__(self, *partners: Partner, products: Sequence[Product] = (), calls: Sequence[Call] = ()) -> None:
        super().__init__()
        self.partners = {partner.id: partner for partner in partners}
        self.products = {product.id: product for product in products}
        self.prices: dict[tuple[int, int], Availability] = {}
        self.calls = {call.id: call for call in calls}
        self.cancelled_orders: set[str] = set()
        self.locked_orders: list[str] = []
        self.breakers: dict[int, CircuitBreaker] = {}

    async def add_partner(self, partner: Partner) -> Partner:
        added = replace(partner, id=len(self.partners) + 1)
        self.partners[added.id] = added
        return added

    async def get_partner(self, partner_id: int) -> Partner | None:
        return self.partners.get(partner_id)

    get_partner_for_update = get_partner

    async def save_partner(self, partner: Partner) -> None:
        self.partners[partner.id] = partner

    async def list_partners(self, after: int, size: int) -> list[Partner]:
        return [partner for partner_id, partner in sorted(self.partners.items()) if partner_id > after][:size]

    async def add_product(self, product: Product) -> Product:
        added = replace(product, id=len(self.products) + 1)
        self.products[added.id] = added
        return added

    async def get_product(self, product_id: int) -> Product | None:
        return self.products.get(product_id)

    get_product_for_update = get_product

    async def save_product(self, product: Product) -> None:
        self.products[product.id] = product

    async def list_products(self, after: int, size: int) -> list[Product]:
        return [product for product_id, product in sorted(self.products.items()) if product_id > after][:size]

    async def delete_product(self, product_id: int) -> None:
        del self.products[product_id]
        self.prices = {key: price for key, price in self.prices.items() if key[1] != product_id}

    async def set_product_picture(self, product_id: int, picture_url: str) -> tuple[Product, str | None] | None:
        before = self.products.get(product_id)
        if before is None:
            return None
        self.products[product_id] = replace(before, picture_url=picture_url)
        return self.products[product_id], before.picture_url

    async def list_product_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        rows = [(product.id, product.picture_url) for product in self.products.values() if product.picture_url]
        return [row for row in sorted(rows) if row[0] > after][:size]

    async def lock_partner_for_share(self, partner_id: int) -> bool:
        return partner_id in self.partners

    async def lock_product_for_share(self, product_id: int) -> bool:
        return product_id in self.products

    async def get_availability_for_update(self, partner_id: int, product_id: int) -> Availability | None:
        return self.prices.get((partner_id, product_id))

    async def save_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        self.prices[partner_id, product_id] = availability

    async def remove_availability(self, partner_id: int, product_id: int) -> bool:
        return self.prices.pop((partner_id, product_id), None) is not None

    def _list_offers(self, partner_id: int) -> list[tuple[Product, Availability]]:
        rows = [(self.products[key[1]], price) for key, price in sorted(self.prices.items()) if key[0] == partner_id]
        return [(product, price) for product, price in rows if price.active]

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        return {
            product.id: Offer(product.id, product.title, price.price, price.currency)
            for product, price in self._list_offers(partner_id)
            if product.id in product_ids
        }

    async def list_partner_products(self, partner_id: int, after: int, size: int) -> list[CatalogOffer]:
        offers = [
            CatalogOffer(
                product.id, product.title, product.description, product.picture_url, price.price, price.currency
            )
            for product, price in self._list_offers(partner_id)
        ]
        return [offer for offer in offers if offer.id > after][:size]

    async def list_catalog(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        return [
            CatalogEntry(partner.id, partner.title, partner.brand, partner.address, [], products_truncated=False)
            for partner in sorted(self.partners.values(), key=lambda partner: partner.id)
            if partner.id > after and partner.is_open and partner_id in (None, partner.id)
        ][:size]

    async def lock_order(self, order_id: str) -> None:
        self.locked_orders.append(order_id)

    async def is_cancelled(self, order_id: str) -> bool:
        return order_id in self.cancelled_orders

    async def mark_cancelled(self, order_id: str, at: datetime) -> None:
        self.cancelled_orders.add(order_id)

    async def add_call(self, call: Call) -> None:
        if not any((each.order_id, each.kind) == (call.order_id, call.kind) for each in self.calls.values()):
            self.calls[call.id] = call

    async def has_order_call(self, partner_id: int, order_id: str) -> bool:
        return any((call.partner_id, call.order_id) == (partner_id, order_id) for call in self.calls.values())

    async def get_order_call_for_update(self, order_id: str) -> Call | None:
        calls = [call for call in self.calls.values() if call.order_id == order_id and call.kind is CallKind.ORDER]
        return next(iter(calls), None)

    async def get_call(self, call_id: str) -> Call | None:
        return self.calls.get(call_id)

    get_call_for_update = get_call

    async def save_call(self, call: Call) -> None:
        self.calls[call.id] = call

    async def list_calls(
        self,
        size: int,
        before: tuple[datetime, str] | None,
        partner_id: int | None,
        order_id: str | None,
        state: CallState | None,
    ) -> list[Call]:
        rows = sorted(self.calls.values(), key=lambda call: (call.created_at, call.id), reverse=True)
        return [
            call
            for call in rows
            if (before is None or (call.created_at, call.id) < before)
            and partner_id in (None, call.partner_id)
            and order_id in (None, call.order_id)
            and state in (None, call.state)
        ][:size]

    async def make_calls_due(self, partner_id: int, now: datetime) -> None:
        for call in self.calls.values():
            if call.partner_id == partner_id and call.state is CallState.WAITING:
                self.calls[call.id] = replace(call, next_at=now)

    async def claim_due_calls(
        self, size: int, max_per_partner: int, now: datetime, lease_until: datetime
    ) -> list[Call]:
        due = [
            call
            for call in self.calls.values()
            if call.state is CallState.WAITING and call.next_at <= now and call.leased_until is None
        ][:size]
        for call in due:
            self.calls[call.id] = replace(call, attempts=call.attempts + 1, leased_until=lease_until)
        return [self.calls[call.id] for call in due]

    async def get_breaker_for_update(self, partner_id: int) -> CircuitBreaker:
        return self.breakers.get(partner_id, CircuitBreaker())

    async def save_breaker(self, partner_id: int, breaker: CircuitBreaker) -> None:
        self.breakers[partner_id] = breaker


class FakePartnerSystem:
    """Partner systems that return the given responses in turn; each request takes a second of `repository`'s clock."""

    def __init__(self, repository: FakeRepository, *responses: PartnerResponse) -> None:
        self._repository = repository
        self.responses = list(responses)
        self.requests: list[Call] = []

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        self.requests.append(call)
        self._repository.now += timedelta(seconds=1)
        return self.responses.pop(0)
