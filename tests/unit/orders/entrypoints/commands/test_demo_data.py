"""Demo data of orders."""

from services.orders.entrypoints.commands.demo_data import load_demo_banks
from tests.unit.orders.fakes import FakeRepository


async def test_browsers_open_the_checkout_and_the_service_calls_the_api() -> None:
    repository = FakeRepository(banks=())
    for _ in range(2):
        await load_demo_banks(repository, b"encrypted", "http://sandbox:8090", "http://127.0.0.1:8090")
    assert {bank.id: (bank.webcheckout_url, bank.api_url) for bank in repository.banks.values()} == {
        name: (f"http://127.0.0.1:8090/checkout/{name}", f"http://sandbox:8090/bank/{name}")
        for name in ("visa", "km", "paypal")
    }
    assert all(bank.active and bank.webhook_secret == b"encrypted" for bank in repository.banks.values())
