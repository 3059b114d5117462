"""Demo data: two partners, four products and their prices."""

from typing import Any, Protocol

from services.partners.domain.partners import Availability, Partner, Product

PARTNERS: list[dict[str, Any]] = [
    {
        "id": 1,
        "title": "Green Bowl",
        "brand": "Bowls & Co",
        "phone": "+12025550101",
        "email": "bowl@delivery.test",
        "address": "1 Market Square",
    },
    {
        "id": 2,
        "title": "Corner Oven",
        "brand": "Corner",
        "phone": "+12025550102",
        "email": "oven@delivery.test",
        "address": "22 Mill Lane",
    },
]
PRODUCTS = [
    Product(1, "Lemonade", "Half a litre, cold.", None),
    Product(2, "Tomato soup", "With bread.", None),
    Product(3, "Margherita", "Tomato, mozzarella, basil.", None),
    Product(4, "Apple pie", "One slice.", None),
]
PRICES = {1: (100, 120), 2: (350, 350), 3: (1500, 1200), 4: (500, 500)}
"""Prices in cents at partners 1 and 2, by product id."""


class DemoDataWriter(Protocol):
    """Writes rows with fixed ids; an existing row is overwritten."""

    async def upsert_partner(self, partner: Partner) -> None:
        """Insert or overwrite a partner."""

    async def upsert_product(self, product: Product) -> None:
        """Insert or overwrite a product."""

    async def upsert_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Insert or overwrite the price of a product at a partner."""


async def load_demo_data(writer: DemoDataWriter, sandbox_url: str, webhook_secret: bytes) -> None:
    """Insert or reset the demo data. `webhook_secret` is encrypted."""
    for partner in PARTNERS:
        await writer.upsert_partner(
            Partner(
                **partner,
                api_url=f"{sandbox_url}/partner/{partner['id']}",
                verified=True,
                enabled=True,
                webhook_secret=webhook_secret,
            )
        )
    for product in PRODUCTS:
        await writer.upsert_product(product)
    for product_id, prices in PRICES.items():
        for partner, price in zip(PARTNERS, prices, strict=True):
            await writer.upsert_availability(partner["id"], product_id, Availability(price, "USD", active=True))
