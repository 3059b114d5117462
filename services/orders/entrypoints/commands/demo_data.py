"""Three banks to pay at."""

from services.orders.adapters.postgres.tables import banks
from services.runtime.config.settings import DemoSettings, ServiceSettings
from services.runtime.storage.database import Database, build_upsert
from services.runtime.storage.encryption import SecretBox

BANKS = {"visa": "Visa", "km": "KM Bank", "paypal": "PayPal"}


async def load(settings: ServiceSettings, demo: DemoSettings) -> None:
    """Makes the rows, or makes them what they should be."""
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    vault = SecretBox(settings.encryption_key.get_secret_value())
    secret = vault.encrypt(demo.demo_webhook_secret.get_secret_value())
    async with database, database.transaction() as transaction:
        for bank_id, title in BANKS.items():
            await transaction.execute(
                build_upsert(banks),
                id=bank_id,
                title=title,
                webcheckout_url=f"{demo.sandbox_url}/checkout/{bank_id}",
                api_url=f"{demo.sandbox_url}/bank/{bank_id}",
                active=True,
                webhook_secret=secret,
                old_secret=None,
                old_secret_until=None,
                version=1,
            )
