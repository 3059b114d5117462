"""In-memory fakes of the repository and the partner systems."""

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from generated.proto.delivery.events.v1 import OrderReadyReported, PartnerNotified
from services.partners.domain.call_policy import Attempt, Call, CallFilter, CallKind, CallState, PartnerResponse
from services.partners.domain.catalog_sorting import CatalogFilter, CatalogSort, Position, ProductSort
from services.partners.domain.partners import (
    Availability,
    CatalogEntry,
    CatalogOffer,
    Offer,
    Partner,
    PartnerOffers,
    Product,
    ReadyReport,
)
from services.partners.usecases.partner_calls import CallTarget, SourceKey
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from services.runtime.core.repository import TimeKey
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


class FakeEntities[Entity: (Partner, Product)](UserDict[int, Entity]):
    """Partners or products by id."""

    async def get(self, key: int) -> Entity | None:
        return self.data.get(key)

    get_for_update = get

    async def lock_for_share(self, key: int) -> bool:
        return key in self.data

    async def list_after(self, after: int, size: int) -> list[Entity]:
        return [entity for key, entity in sorted(self.data.items()) if key > after][:size]

    async def list_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        rows = [(entity.id, entity.picture_url) for entity in self.data.values() if entity.picture_url]
        return [row for row in sorted(rows) if row[0] > after][:size]

    async def add(self, entity: Entity) -> Entity:
        added = replace(entity, id=len(self.data) + 1)
        self.data[added.id] = added
        return added

    async def save(self, entity: Entity) -> None:
        self.data[entity.id] = entity

    async def delete(self, key: int) -> None:
        del self.data[key]


class FakePrices(UserDict[tuple[int, int], Availability]):
    """Prices by partner and product id."""

    async def get_for_update(self, partner_id: int, product_id: int) -> Availability | None:
        return self.data.get((partner_id, product_id))

    async def save(self, partner_id: int, product_id: int, availability: Availability) -> None:
        self.data[partner_id, product_id] = availability

    async def remove(self, partner_id: int, product_id: int) -> bool:
        return self.data.pop((partner_id, product_id), None) is not None

    async def remove_product(self, product_id: int) -> None:
        for key in [key for key in self.data if key[1] == product_id]:
            del self.data[key]


class FakeCatalog:
    """Products on sale in a repository."""

    def __init__(self, repository: "FakeRepository") -> None:
        self.repository = repository

    def _list_prices(self, partner_id: int) -> list[tuple[Product, Availability]]:
        prices = sorted(self.repository.prices.items())
        rows = [(self.repository.products[key[1]], price) for key, price in prices if key[0] == partner_id]
        return [(product, price) for product, price in rows if price.active]

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> PartnerOffers | None:
        partner = await self.repository.partners.get(partner_id)
        offers = {
            product.id: Offer(product.id, product.title, price.price, price.currency)
            for product, price in self._list_prices(partner_id)
            if product.id in product_ids
        }
        return None if partner is None else PartnerOffers(partner, offers)

    async def list_offers(
        self, partner_id: int, sort: ProductSort, after: Position | None, size: int, category: str | None
    ) -> list[CatalogOffer]:
        offers = [
            CatalogOffer(
                product.id,
                product.title,
                product.description,
                product.picture_url,
                product.category,
                price.price,
                price.currency,
                product.title.lower(),
            )
            for product, price in self._list_prices(partner_id)
            if category in (None, product.category)
        ]
        keys: dict[ProductSort, Callable[[CatalogOffer], Position]] = {
            ProductSort.ID: lambda offer: Position("", offer.id),
            ProductSort.ALPHABETICAL: lambda offer: Position(offer.sort_title, offer.id),
            ProductSort.PRICE: lambda offer: Position(offer.price, offer.id),
            ProductSort.PRICE_DESCENDING: lambda offer: Position(offer.price, offer.id),
        }
        return _list_after(offers, keys[sort], after, size, is_descending=sort is ProductSort.PRICE_DESCENDING)

    async def list_entries(
        self, sort: CatalogSort, after: Position | None, size: int, catalog_filter: CatalogFilter
    ) -> list[CatalogEntry]:
        entries = [
            CatalogEntry(
                partner.id,
                partner.title,
                partner.brand,
                partner.address,
                partner.picture_url,
                products=[],
                products_truncated=False,
                opening_hours=partner.opening_hours,
                sort_title=partner.title.lower(),
            )
            for partner in self.repository.partners.values()
            if partner.is_available and catalog_filter.partner_id in (None, partner.id)
        ]
        keys: dict[CatalogSort, Callable[[CatalogEntry], Position]] = {
            CatalogSort.ID: lambda entry: Position("", entry.id),
            CatalogSort.ALPHABETICAL: lambda entry: Position(entry.sort_title, entry.id),
        }
        return _list_after(entries, keys[sort], after, size)


def _list_after[Row](
    rows: Sequence[Row],
    get_key: Callable[[Row], Position],
    after: Position | None,
    size: int,
    *,
    is_descending: bool = False,
) -> list[Row]:
    """Return the rows after a position in the order of their keys."""
    ordered = sorted(rows, key=get_key, reverse=is_descending)
    return [
        row for row in ordered if after is None or (get_key(row) < after if is_descending else get_key(row) > after)
    ][:size]


class FakeCalls(UserDict[str, Call]):
    """Calls by id; locked and cancelled orders are stored in the repository."""

    def __init__(self, repository: "FakeRepository", calls: Sequence[Call]) -> None:
        super().__init__({call.id: call for call in calls})
        self.repository = repository

    async def get(self, key: str) -> Call | None:
        return self.data.get(key)

    get_for_update = get

    async def list_before(self, before: TimeKey | None, size: int, call_filter: CallFilter) -> list[Call]:
        rows = sorted(self.data.values(), key=lambda call: (call.created_at, call.id), reverse=True)
        return [
            call
            for call in rows
            if (before is None or (call.created_at, call.id) < before)
            and call_filter.partner_id in (None, call.partner_id)
            and call_filter.order_id in (None, call.order_id)
            and call_filter.state in (None, call.state)
        ][:size]

    async def add(self, call: Call) -> None:
        if not any((each.order_id, each.kind) == (call.order_id, call.kind) for each in self.data.values()):
            self.data[call.id] = call

    async def add_for_new_events(self, calls: Mapping[SourceKey, Call]) -> set[SourceKey]:
        added = set()
        for (queue, event_id), call in calls.items():
            if await self.repository.mark_event_processed(queue, event_id):
                await self.lock_order(call.order_id)
                if not await self.is_cancelled(call.order_id):
                    await self.add(call)
                    added.add((queue, event_id))
        return added

    async def save(self, entity: Call) -> None:
        self.data[entity.id] = entity

    async def get_order_call_for_update(self, order_id: str) -> Call | None:
        calls = [call for call in self.data.values() if call.order_id == order_id and call.kind is CallKind.ORDER]
        return next(iter(calls), None)

    async def make_due(self, partner_id: int, now: datetime) -> None:
        for call in self.data.values():
            if call.partner_id == partner_id and call.state is CallState.WAITING:
                self.data[call.id] = replace(call, next_at=now)

    async def lock_order(self, order_id: str) -> None:
        self.repository.locked_orders.append(order_id)

    async def is_cancelled(self, order_id: str) -> bool:
        return order_id in self.repository.cancelled_orders

    async def mark_cancelled(self, order_id: str, at: datetime) -> None:
        self.repository.cancelled_orders.add(order_id)


class FakeBreakers(UserDict[int, CircuitBreaker]):
    """Circuit breakers by partner id, and the number of locks; `changed_before_lock` is stored before each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.lock_count = 0
        self.changed_before_lock: CircuitBreaker | None = None

    async def get(self, partner_id: int) -> CircuitBreaker:
        return self.data.get(partner_id, CircuitBreaker())

    async def get_for_update(self, partner_id: int) -> CircuitBreaker:
        self.lock_count += 1
        if self.changed_before_lock is not None:
            self.data[partner_id] = self.changed_before_lock
        return self.data.get(partner_id, CircuitBreaker())

    async def save(self, partner_id: int, breaker: CircuitBreaker) -> None:
        self.data[partner_id] = breaker


class FakeCallTargets:
    """Partners and circuit breakers of a repository."""

    def __init__(self, repository: "FakeRepository") -> None:
        self.repository = repository

    async def get(self, key: int) -> CallTarget | None:
        partner = await self.repository.partners.get(key)
        return None if partner is None else CallTarget(partner, await self.repository.breakers.get(key))


class FakeAcceptedCalls:
    """Results of accepted calls of a repository."""

    def __init__(self, repository: "FakeRepository") -> None:
        self.repository = repository

    async def record(self, call: Call, attempt: Attempt, event: PartnerNotified) -> bool:
        stored = self.repository.calls.data.get(call.id)
        if stored is None or stored.state is not CallState.WAITING or stored.attempts != call.attempts:
            return False
        if call.partner_id in self.repository.breakers:
            return False
        self.repository.calls[call.id] = replace(
            stored, state=CallState.DELIVERED, tries=(*stored.tries, attempt), leased_until=None
        )
        await self.repository.publish(event)
        return True


class FakeReadyReports(UserDict[tuple[int, str], bytes]):
    """Fingerprints of published ready reports of a repository, by partner and webhook id."""

    def __init__(self, repository: "FakeRepository") -> None:
        super().__init__()
        self.repository = repository

    async def publish(self, report: ReadyReport, webhook_id: str, event: OrderReadyReported) -> bool:
        key = (report.partner_id, webhook_id)
        call = await self.repository.calls.get_order_call_for_update(report.order_id)
        if key in self.data or call is None or call.partner_id != report.partner_id:
            return False
        self.data[key] = report.compute_fingerprint()
        await self.repository.publish(event)
        return True

    async def get_fingerprint(self, partner_id: int, webhook_id: str) -> bytes | None:
        return self.data.get((partner_id, webhook_id))


class FakeRepository(FakeTransactions):
    """Partners, products, prices, calls, circuit breakers and ready callbacks; also the queue of due calls."""

    def __init__(self, *partners: Partner, products: Sequence[Product] = (), calls: Sequence[Call] = ()) -> None:
        super().__init__()
        self.partners = FakeEntities({partner.id: partner for partner in partners})
        self.products = FakeEntities({product.id: product for product in products})
        self.prices = FakePrices()
        self.catalog = FakeCatalog(self)
        self.calls = FakeCalls(self, calls)
        self.cancelled_orders: set[str] = set()
        self.locked_orders: list[str] = []
        self.breakers = FakeBreakers()
        self.call_targets = FakeCallTargets(self)
        self.accepted_calls = FakeAcceptedCalls(self)
        self.ready_reports = FakeReadyReports(self)

    @property
    def availability(self) -> FakePrices:
        return self.prices

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
