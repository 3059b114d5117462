"""Demo data of partners."""

from services.partners.domain.partners import Availability, Partner, Product
from services.partners.entrypoints.commands import demo_data
from tests.unit.fake_transactions import FakeTransactions


class FakeWriter(FakeTransactions):
    """Rows by id; a price requires its partner and product."""

    def __init__(self) -> None:
        super().__init__()
        self.partners: dict[int, Partner] = {}
        self.products: dict[int, Product] = {}
        self.prices: dict[tuple[int, int], Availability] = {}

    async def upsert_partner(self, partner: Partner) -> None:
        self.partners[partner.id] = partner

    async def upsert_product(self, product: Product) -> None:
        self.products[product.id] = product

    async def upsert_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        assert partner_id in self.partners
        assert product_id in self.products
        self.prices[partner_id, product_id] = availability


async def test_demo_data_is_complete_and_repeatable() -> None:
    writer = FakeWriter()
    for _ in range(2):
        await demo_data.load_demo_data(writer, "http://sandbox.test", b"encrypted")
    assert set(writer.prices) == {(partner, product) for partner in (1, 2) for product in (1, 2, 3, 4)}
    assert [partner.api_url for partner in writer.partners.values()] == [
        "http://sandbox.test/partner/1",
        "http://sandbox.test/partner/2",
    ]
    assert all(partner.is_available and partner.webhook_secret == b"encrypted" for partner in writer.partners.values())
    assert all(price.active and price.price > 0 for price in writer.prices.values())
