"""Pictures of partners and products."""

from dataclasses import replace

import pytest

from generated.problems import Reason
from services.partners.usecases import pictures
from tests.unit.fake_transactions import raises_reason
from tests.unit.partners.fakes import ADA, ADMIN, BOWL, LEMONADE, FakeRepository

PICTURE_URL = "/api/v1/pictures/a-b_c.d"


async def test_changed_product_picture_publishes_one_event() -> None:
    repository = FakeRepository(products=[replace(LEMONADE, picture_url="/old")])
    results = [
        await pictures.set_product_picture(repository, repository.clock, ADMIN, 7, PICTURE_URL) for _ in range(2)
    ]
    assert [old_url for _, old_url in results] == ["/old", PICTURE_URL]
    assert [event.subject for event in repository.events] == ["product:7"]


async def test_changed_partner_picture_publishes_one_event() -> None:
    repository = FakeRepository(replace(BOWL, picture_url="/old"))
    results = [
        await pictures.set_partner_picture(repository, repository.clock, ADMIN, 1, PICTURE_URL) for _ in range(2)
    ]
    assert [old_url for _, old_url in results] == ["/old", PICTURE_URL]
    assert [(partner.picture_url, partner.version) for partner, _ in results] == [(PICTURE_URL, 2)] * 2
    assert [event.subject for event in repository.events] == ["partner:1"]


@pytest.mark.parametrize(
    "url", ["", "x", "https://evil.test/x", "//evil.test/x", "/a/", "/a b", "/a?b", "/a\n", "javascript:alert(1)"]
)
async def test_picture_url_that_is_no_path_raises(url: str) -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    with raises_reason(Reason.INVALID_REQUEST):
        await pictures.set_product_picture(repository, repository.clock, ADMIN, 7, url)
    with raises_reason(Reason.INVALID_REQUEST):
        await pictures.set_partner_picture(repository, repository.clock, ADMIN, 1, url)
    assert (repository.products, repository.partners) == ({7: LEMONADE}, {1: BOWL})


async def test_picture_of_unknown_entity_raises() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.PRODUCT_NOT_FOUND):
        await pictures.set_product_picture(repository, repository.clock, ADMIN, 7, PICTURE_URL)
    with raises_reason(Reason.PARTNER_NOT_FOUND):
        await pictures.set_partner_picture(repository, repository.clock, ADMIN, 1, PICTURE_URL)


async def test_picture_set_by_customer_raises_forbidden() -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    with raises_reason(Reason.FORBIDDEN):
        await pictures.set_product_picture(repository, repository.clock, ADA, 7, PICTURE_URL)
    with raises_reason(Reason.FORBIDDEN):
        await pictures.set_partner_picture(repository, repository.clock, ADA, 1, PICTURE_URL)


async def test_pictures_are_listed_in_pages() -> None:
    urls = {index: f"/{index}" if index != 2 else None for index in range(1, 5)}
    partners = [replace(BOWL, id=index, picture_url=url) for index, url in urls.items()]
    products = [replace(LEMONADE, id=index, picture_url=url) for index, url in urls.items()]
    repository = FakeRepository(*partners, products=products)
    for list_pictures in (pictures.list_product_pictures, pictures.list_partner_pictures):
        first = await list_pictures(repository, 2, "")
        last = await list_pictures(repository, 2, first.next_page_token or "")
        assert [*first.items, *last.items] == [(1, "/1"), (3, "/3"), (4, "/4")]
        assert last.next_page_token is None
