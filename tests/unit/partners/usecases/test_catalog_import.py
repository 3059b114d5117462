"""Import of partners, products and prices in one transaction."""

import pytest

from services.partners.domain.partners import Availability, Partner, Product
from services.partners.usecases.catalog_import import upsert_catalog
from tests.unit.fake_transactions import FakeTransactions
from tests.unit.partners.fakes import BOWL, LEMONADE

PRICE = Availability(100, "USD", active=True)


class FakeWriter(FakeTransactions):
    """Rows by id; a price requires its partner and product."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[object, object] = {}

    async def upsert_partner(self, partner: Partner) -> None:
        self.rows["partner", partner.id] = partner

    async def upsert_product(self, product: Product) -> None:
        self.rows["product", product.id] = product

    async def upsert_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        if not {("partner", partner_id), ("product", product_id)} <= self.rows.keys():
            raise ValueError("unknown partner or product")
        self.rows[partner_id, product_id] = availability


async def test_partners_and_products_are_written_before_prices() -> None:
    writer = FakeWriter()
    await upsert_catalog(writer, [BOWL], [LEMONADE], {(BOWL.id, LEMONADE.id): PRICE})
    assert list(writer.rows.values()) == [BOWL, LEMONADE, PRICE]


async def test_failed_import_changes_nothing() -> None:
    writer = FakeWriter()
    with pytest.raises(ValueError, match="unknown partner"):
        await upsert_catalog(writer, [BOWL], [LEMONADE], {(BOWL.id, 99): PRICE})
    assert writer.rows == {}
