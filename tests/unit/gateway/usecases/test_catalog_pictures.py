"""Images of partners and products: the store and the partners service stay consistent."""

from typing import Any, cast

import pytest

from generated.problems import Reason
from generated.proto.delivery.partners.v1 import Product
from services.gateway.domain.images import Image
from services.gateway.usecases import catalog_pictures
from services.gateway.usecases.catalog_pictures import PRODUCTS, PictureRegistries, PictureUpdate
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import raises_reason
from tests.unit.gateway.fakes import FakeImageStore

PICTURE = Image("image/png", b"new")


class FakeRegistry:
    """Picture of one product by object name; with an `error`, it cannot be set."""

    def __init__(self, name: str | None = None, error: Reason | None = None) -> None:
        self.name = name
        self.error = error

    async def set_picture(self, entity_id: int, name: str) -> PictureUpdate[Product]:
        if self.error is not None:
            raise ApiError(self.error)
        old_name, self.name = self.name, name
        return PictureUpdate[Product](Product(id=entity_id, picture_url=f"/{name}"), old_name)

    async def list_pictures(self) -> set[str]:
        return set() if self.name is None else {self.name}


class RetriedRegistry(FakeRegistry):
    """Registry whose first attempt succeeds without a response, so the second returns its own name as the old one."""

    async def set_picture(self, entity_id: int, name: str) -> PictureUpdate[Product]:
        await super().set_picture(entity_id, name)
        return await super().set_picture(entity_id, name)


@pytest.mark.parametrize("old_names", [(), ("products/old",)])
async def test_new_image_replaces_old_one(old_names: tuple[str, ...]) -> None:
    images = FakeImageStore(*old_names)
    registry = FakeRegistry(old_names[0] if old_names else None)
    product = await catalog_pictures.set_picture(PRODUCTS, registry, images, 7, PICTURE)
    assert product == Product(id=7, picture_url=f"/{registry.name}")
    assert images.images == {registry.name: PICTURE}
    name = (registry.name or "").removeprefix("products/")
    assert await catalog_pictures.get_picture(PRODUCTS, images, name) == ("digest", PICTURE)


async def test_retried_change_retains_new_image() -> None:
    images = FakeImageStore()
    await catalog_pictures.set_picture(PRODUCTS, RetriedRegistry(), images, 7, PICTURE)
    assert list(images.images.values()) == [PICTURE]


async def test_image_of_unknown_product_is_deleted() -> None:
    images = FakeImageStore()
    with raises_reason(Reason.PRODUCT_NOT_FOUND):
        await catalog_pictures.set_picture(PRODUCTS, FakeRegistry(error=Reason.PRODUCT_NOT_FOUND), images, 7, PICTURE)
    assert images.images == {}


async def test_image_is_retained_if_result_is_unknown() -> None:
    images = FakeImageStore()
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await catalog_pictures.set_picture(
            PRODUCTS, FakeRegistry(error=Reason.UPSTREAM_UNAVAILABLE), images, 7, PICTURE
        )
    assert list(images.images.values()) == [PICTURE]


async def test_image_is_set_although_old_one_cannot_be_deleted() -> None:
    images, registry = FakeImageStore("products/old", delete_fails=True), FakeRegistry("products/old")
    await catalog_pictures.set_picture(PRODUCTS, registry, images, 7, PICTURE)
    assert registry.name != "products/old"
    assert len(images.images) == 2


async def test_missing_image_raises() -> None:
    with raises_reason(Reason.PICTURE_NOT_FOUND):
        await catalog_pictures.get_picture(PRODUCTS, FakeImageStore("avatars/x"), "x")


async def test_clean_up_retains_referenced_images() -> None:
    images = FakeImageStore()
    registries = PictureRegistries(cast(Any, FakeRegistry("partners/c.d")), FakeRegistry("products/a.b"))
    assert await catalog_pictures.delete_orphaned_pictures(registries, images) == 0
    assert images.clean_ups == [
        ("products", {"products/a.b"}, catalog_pictures.ORPHAN_MIN_AGE),
        ("partners", {"partners/c.d"}, catalog_pictures.ORPHAN_MIN_AGE),
    ]
