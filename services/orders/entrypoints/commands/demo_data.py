"""Demo data: three banks."""

from services.orders import usecases
from services.orders.domain.orders import Bank
from services.orders.usecases.ports import Repository

BANKS = {"visa": "Visa", "km": "KM Bank", "paypal": "PayPal"}


async def load_demo_banks(repository: Repository, encrypted_secret: bytes, sandbox_url: str, browser_url: str) -> None:
    """Create or overwrite the demo banks, which the sandbox serves.

    The service calls the sandbox at `sandbox_url`, and browsers open its checkout pages at `browser_url`.
    """
    banks = [
        Bank(
            id=bank_id,
            title=title,
            webcheckout_url=f"{browser_url}/checkout/{bank_id}",
            api_url=f"{sandbox_url}/bank/{bank_id}",
            active=True,
            webhook_secret=encrypted_secret,
        )
        for bank_id, title in BANKS.items()
    ]
    await usecases.upsert_banks(repository, banks)
