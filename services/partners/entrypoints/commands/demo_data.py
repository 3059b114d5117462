"""Two partners and four products to try things with."""

from services.partners.adapters.postgres.tables import availability, partners, products
from services.runtime.config.settings import DemoSettings, ServiceSettings
from services.runtime.storage.database import Database, build_upsert
from services.runtime.storage.encryption import SecretBox

PARTNERS = [
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
    {"id": 1, "title": "Lemonade", "description": "Half a litre, cold."},
    {"id": 2, "title": "Tomato soup", "description": "With bread."},
    {"id": 3, "title": "Margherita", "description": "Tomato, mozzarella, basil."},
    {"id": 4, "title": "Apple pie", "description": "One slice."},
]
PRICES = {1: (100, 120), 2: (350, 350), 3: (1500, 1200), 4: (500, 500)}
"""By product: what it costs at partner 1 and at partner 2, in cents."""


async def load_demo_data(settings: ServiceSettings, demo: DemoSettings) -> None:
    """Makes the rows, or makes them what they should be."""
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    vault = SecretBox(settings.encryption_key.get_secret_value())
    secret = vault.encrypt(demo.demo_webhook_secret.get_secret_value())
    async with database, database.transaction() as transaction:
        for partner in PARTNERS:
            await transaction.execute(
                build_upsert(partners),
                **partner,
                api_url=f"{demo.sandbox_url}/partner/{partner['id']}",
                webhook_secret=secret,
                verified=True,
                enabled=True,
                old_secret=None,
                old_secret_until=None,
                gone=False,
                version=1,
            )
        for product in PRODUCTS:
            await transaction.execute(build_upsert(products), **product, picture_url=None, version=1)
        for product_id, prices in PRICES.items():
            for partner, price in zip(PARTNERS, prices, strict=True):
                await transaction.execute(
                    build_upsert(availability),
                    partner_id=partner["id"],
                    product_id=product_id,
                    price=price,
                    currency="USD",
                    active=True,
                )
