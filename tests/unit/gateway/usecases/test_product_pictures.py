"""Product images: the store and the partners service stay consistent."""

import pytest

from generated.problems import Reason
from generated.proto.delivery.partners.v1 import Product
from services.gateway.domain.images import Image
from services.gateway.usecases import product_pictures
from services.gateway.usecases.product_pictures import ProductPictureUpdate
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import raises_reason
from tests.unit.gateway.fakes import FakeImageStore

PICTURE = Image("image/png", b"new")


class FakeRegistry:
    """Picture URL of one product; with an `error`, it cannot be set."""

    def __init__(self, url: str | None = None, error: Reason | None = None) -> None:
        self.url = url
        self.error = error

    async def set_picture_url(self, product_id: int, picture_url: str) -> ProductPictureUpdate:
        if self.error is not None:
            raise ApiError(self.error)
        old_url, self.url = self.url, picture_url
        return ProductPictureUpdate(Product(id=product_id, picture_url=picture_url), old_url)

    async def list_picture_urls(self) -> set[str]:
        return set() if self.url is None else {self.url}


class RetriedRegistry(FakeRegistry):
    """Registry whose first attempt succeeds without a response, so the second returns its own URL as the old one."""

    async def set_picture_url(self, product_id: int, picture_url: str) -> ProductPictureUpdate:
        await super().set_picture_url(product_id, picture_url)
        return await super().set_picture_url(product_id, picture_url)


@pytest.mark.parametrize("old_names", [(), ("products/old",)])
async def test_new_image_replaces_old_one(old_names: tuple[str, ...]) -> None:
    images = FakeImageStore(*old_names)
    registry = FakeRegistry("/api/v1/pictures/old" if old_names else None)
    product = await product_pictures.set_product_picture(registry, images, 7, PICTURE)
    assert product is not None
    assert product.picture_url == registry.url
    assert list(images.images.values()) == [PICTURE]
    name = (registry.url or "").removeprefix("/api/v1/pictures/")
    assert await product_pictures.get_product_picture(images, name) == ("digest", PICTURE)


async def test_retried_change_retains_new_image() -> None:
    images = FakeImageStore()
    await product_pictures.set_product_picture(RetriedRegistry(), images, 7, PICTURE)
    assert list(images.images.values()) == [PICTURE]


async def test_image_of_unknown_product_is_deleted() -> None:
    images = FakeImageStore()
    with raises_reason(Reason.PRODUCT_NOT_FOUND):
        await product_pictures.set_product_picture(FakeRegistry(error=Reason.PRODUCT_NOT_FOUND), images, 7, PICTURE)
    assert images.images == {}


async def test_image_is_retained_if_result_is_unknown() -> None:
    images = FakeImageStore()
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await product_pictures.set_product_picture(FakeRegistry(error=Reason.UPSTREAM_UNAVAILABLE), images, 7, PICTURE)
    assert list(images.images.values()) == [PICTURE]


async def test_image_is_set_although_old_one_cannot_be_deleted() -> None:
    images, registry = FakeImageStore("products/old", delete_fails=True), FakeRegistry("/api/v1/pictures/old")
    await product_pictures.set_product_picture(registry, images, 7, PICTURE)
    assert registry.url != "/api/v1/pictures/old"
    assert len(images.images) == 2


async def test_missing_image_raises() -> None:
    with raises_reason(Reason.PICTURE_NOT_FOUND):
        await product_pictures.get_product_picture(FakeImageStore("avatars/x"), "x")


async def test_clean_up_retains_referenced_images() -> None:
    images = FakeImageStore()
    assert await product_pictures.delete_orphaned_product_pictures(FakeRegistry("/api/v1/pictures/a.b"), images) == 0
    assert images.clean_ups == [("products", {"products/a.b"}, product_pictures.ORPHAN_MIN_AGE)]
