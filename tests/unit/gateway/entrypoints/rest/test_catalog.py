"""Handlers of pictures of partners and products, and forwarding of the catalog."""

from datetime import timedelta
from typing import Any, cast

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import BankSummary, ListBanksRequest, ListBanksResponse
from generated.proto.delivery.partners.v1 import Partner, Product
from generated.rest.delivery import models
from services.gateway.adapters.picture_registries import PARTNER_PATHS, PRODUCT_PATHS
from services.gateway.domain.images import Image
from services.gateway.entrypoints.rest.catalog import Catalog
from services.gateway.usecases.catalog_pictures import PictureRegistries, PictureUpdate
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.rest.types import BinaryResponse, Upload
from tests.recording_stub import RecordingStub
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.gateway.fakes import FakeImageStore

ADMIN = Principal("root", "admin", "root@delivery.test", True, NOW + timedelta(hours=1))
NAME = f"x.{'a' * 64}"


class FakeProducts:
    """Registry with the product 1."""

    def __init__(self) -> None:
        self.old_name: str | None = None

    async def set_picture(self, entity_id: int, name: str) -> PictureUpdate[Product]:
        """Set the picture of the product."""
        if entity_id != 1:
            raise ApiError(Reason.PRODUCT_NOT_FOUND)
        old_name, self.old_name = self.old_name, name
        product = Product(id=1, title="Soup", description="Warm.", picture_url=PRODUCT_PATHS.get_path(name))
        return PictureUpdate(product, old_name)


class FakePartners:
    """Registry with the partner 1."""

    async def set_picture(self, entity_id: int, name: str) -> PictureUpdate[Partner]:
        """Set the picture of the partner."""
        if entity_id != 1:
            raise ApiError(Reason.PARTNER_NOT_FOUND)
        return PictureUpdate(Partner(id=1, title="Green Bowl", picture_url=PARTNER_PATHS.get_path(name)), None)


def make_catalog(store: FakeImageStore, stub: RecordingStub | None = None) -> Catalog:
    services = cast(Any, stub or RecordingStub())
    registries = PictureRegistries(cast(Any, FakePartners()), cast(Any, FakeProducts()))
    return Catalog(services, services, registries, cast(Any, store))


async def test_uploaded_picture_is_stored_and_referenced() -> None:
    store = FakeImageStore()
    catalog = make_catalog(store)
    upload = Upload("a.png", "image/png", b"png")
    product = await catalog.put_product_picture(principal=ADMIN, product_id=1, body=upload)
    (name,) = store.images
    assert store.images == {name: Image("image/png", b"png")}
    path = f"/api/v1/pictures/{name.removeprefix('products/')}"
    assert product == models.Product(id=1, title="Soup", description="Warm.", picture_url=path)


async def test_picture_of_unknown_product_is_deleted() -> None:
    store = FakeImageStore()
    with pytest.raises(ApiError) as raised:
        await make_catalog(store).put_product_picture(principal=ADMIN, product_id=2, body=Upload("a", "image/png", b""))
    assert raised.value.reason is Reason.PRODUCT_NOT_FOUND
    assert store.images == {}


async def test_partner_picture_is_stored_apart_and_referenced() -> None:
    store = FakeImageStore()
    upload = Upload("a.png", "image/png", b"png")
    partner = await make_catalog(store).put_partner_picture(principal=ADMIN, partner_id=1, body=upload)
    (name,) = store.images
    assert name.startswith("partners/")
    assert partner.picture_url == f"/api/v1/partner-pictures/{name.removeprefix('partners/')}"


async def test_picture_of_unknown_partner_is_deleted() -> None:
    store = FakeImageStore()
    with raises_reason(Reason.PARTNER_NOT_FOUND):
        await make_catalog(store).put_partner_picture(principal=ADMIN, partner_id=2, body=Upload("a", "image/png", b""))
    assert store.images == {}


async def test_picture_is_cacheable_indefinitely() -> None:
    catalog = make_catalog(FakeImageStore(f"products/{NAME}", f"partners/{NAME}"))
    for response in (await catalog.get_picture(picture=NAME), await catalog.get_partner_picture(picture=NAME)):
        assert response.body == BinaryResponse("image/webp", b"old")
        assert response.headers == {"ETag": f'"{"a" * 32}"', "Cache-Control": "public, max-age=31536000, immutable"}


async def test_unknown_picture_raises_error() -> None:
    with raises_reason(Reason.PICTURE_NOT_FOUND):
        await make_catalog(FakeImageStore(f"partners/{NAME}")).get_picture(picture=NAME)
    with raises_reason(Reason.PICTURE_NOT_FOUND):
        await make_catalog(FakeImageStore(f"products/{NAME}")).get_partner_picture(picture=NAME)


async def test_banks_are_forwarded_to_orders() -> None:
    page = ListBanksResponse(items=[BankSummary(id="visa", title="Visa")])
    stub = RecordingStub(list_banks=page)
    result = await make_catalog(FakeImageStore(), stub).list_banks(principal=ADMIN)
    assert result == models.BankPage(items=[models.BankSummary(id="visa", title="Visa")])
    assert stub.requests == [ListBanksRequest(page_size=20)]
