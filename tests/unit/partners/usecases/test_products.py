"""Management of products and their prices at partners."""

from dataclasses import replace

import pytest

from generated.problems import Reason
from services.partners.usecases import products
from services.runtime.core.idempotency import IdempotencyKey
from tests.unit.fake_transactions import raises_reason
from tests.unit.partners.fakes import ADA, ADMIN, BOWL, LEMONADE, PRICE, FakeRepository

KEY = IdempotencyKey("root", "createProduct", "k1", b"")


async def test_product_is_created_once_per_idempotency_key() -> None:
    repository = FakeRepository()
    responses = [
        await products.create_product(
            repository, ADMIN, replace(LEMONADE, id=0), KEY, lambda product: str(product.id).encode()
        )
        for _ in range(2)
    ]
    assert [(response.data, response.replayed) for response in responses] == [(b"1", False), (b"1", True)]
    assert repository.products == {1: replace(LEMONADE, id=1)}


async def test_products_are_listed_in_pages() -> None:
    repository = FakeRepository(products=[replace(LEMONADE, id=index) for index in (3, 1, 2)])
    first = await products.list_products(repository, ADMIN, 2, "")
    last = await products.list_products(repository, ADMIN, 2, first.next_page_token or "")
    assert [product.id for product in [*first.items, *last.items]] == [1, 2, 3]


async def test_changed_product_has_next_version_and_event() -> None:
    repository = FakeRepository(products=[LEMONADE])
    for _ in range(2):
        after = await products.update_product(repository, repository.clock, ADMIN, 7, None, {"title": "Soda"})
    assert after == repository.products[7] == replace(LEMONADE, title="Soda", version=2)
    assert [event.subject for event in repository.events] == ["product:7"]


async def test_update_of_other_version_changes_nothing() -> None:
    repository = FakeRepository(products=[LEMONADE])
    with raises_reason(Reason.PRECONDITION_FAILED):
        await products.update_product(repository, repository.clock, ADMIN, 7, {2}, {"title": "Soda"})
    assert (repository.products, repository.events) == ({7: LEMONADE}, [])


async def test_deleted_product_has_no_prices() -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    repository.prices[1, 7] = PRICE
    await products.delete_product(repository, repository.clock, ADMIN, 7)
    assert (repository.products, repository.prices) == ({}, {})
    assert [event.subject for event in repository.events] == ["product:7"]


async def test_changed_price_publishes_one_event() -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    for _ in range(2):
        assert await products.set_availability(repository, repository.clock, ADMIN, 1, 7, PRICE) == PRICE
    (event,) = repository.events
    assert (event.subject, event.partner_id, event.product_id) == ("partner:1", 1, 7)


@pytest.mark.parametrize("currency", ["ZZQ", "XXX", "usd"])
async def test_price_in_unknown_currency_is_rejected(currency: str) -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    price = replace(PRICE, currency=currency)
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await products.set_availability(repository, repository.clock, ADMIN, 1, 7, price)
    assert [error.field for error in raised.value.errors] == ["currency"]
    assert (repository.prices, repository.events) == ({}, [])


async def test_price_is_removed_once() -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    repository.prices[1, 7] = PRICE
    await products.remove_availability(repository, repository.clock, ADMIN, 1, 7)
    with raises_reason(Reason.PRODUCT_NOT_FOUND):
        await products.remove_availability(repository, repository.clock, ADMIN, 1, 7)
    assert (repository.prices, len(repository.events)) == ({}, 1)


@pytest.mark.parametrize(
    ("partner_id", "product_id", "reason"),
    [(2, 7, Reason.PARTNER_NOT_FOUND), (1, 8, Reason.PRODUCT_NOT_FOUND), (2, 8, Reason.PARTNER_NOT_FOUND)],
)
async def test_price_of_unknown_partner_or_product_raises(partner_id: int, product_id: int, reason: Reason) -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    with raises_reason(reason):
        await products.set_availability(repository, repository.clock, ADMIN, partner_id, product_id, PRICE)
    with raises_reason(reason):
        await products.remove_availability(repository, repository.clock, ADMIN, partner_id, product_id)
    assert (repository.prices, repository.events) == ({}, [])


@pytest.mark.parametrize(("principal", "reason"), [(ADMIN, Reason.PRODUCT_NOT_FOUND), (ADA, Reason.FORBIDDEN)])
async def test_unknown_product_and_missing_role_raise(principal, reason: Reason) -> None:
    repository = FakeRepository(BOWL)
    for operation in (
        products.get_product(repository, principal, 7),
        products.update_product(repository, repository.clock, principal, 7, None, {}),
        products.delete_product(repository, repository.clock, principal, 7),
        products.set_availability(repository, repository.clock, principal, 1, 7, PRICE),
        products.remove_availability(repository, repository.clock, principal, 1, 7),
    ):
        with raises_reason(reason):
            await operation
