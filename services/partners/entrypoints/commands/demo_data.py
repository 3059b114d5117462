"""Demo data: two partners, four products and their prices."""

from typing import Any

from services.partners.domain.partners import Availability, Partner, Product
from services.partners.usecases.catalog_import import CatalogWriter, upsert_catalog
from services.runtime.core.unit_of_work import UnitOfWorkFactory

PICTURE_DIGESTS = {
    "green-bowl": "daee75c4e80ada27dff370e7a3ae4f37aef018f4b7577554ebc62b37289b2be8",
    "corner-oven": "c8e6aecc2dea80c5384cd25bfea9a406eeea899594378b848d95e929f96c57f6",
    "lemonade": "6f79a3f0b376525645de7a0308a80df0f7110f5a5078dc7181b89b665ac2e5f3",
    "tomato-soup": "a1fe6b66e04ad39d076253a89fc2e0baa6a76506986531d67aa2333f0cc985a8",
    "margherita": "c58d28ee28816d72ff9561809d43e30cf9db1e6e6ee484402e765bd9d2c77a56",
    "apple-pie": "4141f82b8a690522a5d219c208ed165d61b0c482f97cb1f9c7ac89bc7ec14591",
}
"""SHA-256 of the pictures, which the demo data of the gateway stores."""


def format_picture_url(collection: str, name: str) -> str:
    """Return the path of a demo picture in a collection of the public API."""
    return f"/api/v1/{collection}/{'demo-' + name:_<32}.{PICTURE_DIGESTS[name]}"


PARTNERS: list[dict[str, Any]] = [
    {
        "id": 1,
        "title": "Green Bowl",
        "brand": "Bowls & Co",
        "phone": "+12025550101",
        "email": "bowl@delivery.test",
        "address": "1 Market Square",
        "picture_url": format_picture_url("partner-pictures", "green-bowl"),
    },
    {
        "id": 2,
        "title": "Corner Oven",
        "brand": "Corner",
        "phone": "+12025550102",
        "email": "oven@delivery.test",
        "address": "22 Mill Lane",
        "picture_url": format_picture_url("partner-pictures", "corner-oven"),
    },
]
PRODUCTS = [
    Product(1, "Lemonade", "Half a litre, cold.", format_picture_url("pictures", "lemonade"), category="drinks"),
    Product(2, "Tomato soup", "With bread.", format_picture_url("pictures", "tomato-soup"), category="soups"),
    Product(
        3, "Margherita", "Tomato, mozzarella, basil.", format_picture_url("pictures", "margherita"), category="pizzas"
    ),
    Product(4, "Apple pie", "One slice.", format_picture_url("pictures", "apple-pie"), category="desserts"),
]
PRICES = {1: (100, 120), 2: (350, 350), 3: (1500, 1200), 4: (500, 500)}
"""Prices in cents at partners 1 and 2, by product id."""


async def load_demo_data(repository: UnitOfWorkFactory[CatalogWriter], sandbox_url: str, webhook_secret: bytes) -> None:
    """Insert or reset the demo data. `webhook_secret` is encrypted."""
    partners = [
        Partner(
            **partner,
            api_url=f"{sandbox_url}/partner/{partner['id']}",
            verified=True,
            enabled=True,
            webhook_secret=webhook_secret,
        )
        for partner in PARTNERS
    ]
    prices = {
        (partner.id, product_id): Availability(price, "USD", active=True)
        for product_id, prices_of_product in PRICES.items()
        for partner, price in zip(partners, prices_of_product, strict=True)
    }
    await upsert_catalog(repository, partners, PRODUCTS, prices)
