"""Pictures of partners and products over gRPC: object names and public paths."""

from typing import Any, cast

from generated.proto.delivery.partners import v1
from services.gateway.adapters.picture_registries import (
    PARTNER_PATHS,
    PRODUCT_PATHS,
    RpcPartnerPictureRegistry,
    RpcProductPictureRegistry,
)
from tests.recording_stub import RecordingStub


class PagingStub:
    """Partners service with two pages of pictures."""

    async def list_partner_pictures(self, request: v1.ListPartnerPicturesRequest) -> v1.ListPartnerPicturesResponse:
        if request.page_token:
            return v1.ListPartnerPicturesResponse(picture_urls=["/api/v1/partner-pictures/c"])
        return v1.ListPartnerPicturesResponse(
            picture_urls=["/api/v1/partner-pictures/a", "/api/v1/partner-pictures/b"], next_page_token="2"
        )

    async def list_product_pictures(self, request: v1.ListProductPicturesRequest) -> v1.ListProductPicturesResponse:
        if request.page_token:
            return v1.ListProductPicturesResponse(picture_urls=["/api/v1/pictures/f"])
        return v1.ListProductPicturesResponse(
            picture_urls=["/api/v1/pictures/d", "/api/v1/pictures/e"], next_page_token="2"
        )


async def test_pictures_of_all_pages_are_listed_by_object_name() -> None:
    stub = cast(Any, PagingStub())
    assert await RpcPartnerPictureRegistry(stub).list_pictures() == {"partners/a", "partners/b", "partners/c"}
    assert await RpcProductPictureRegistry(stub).list_pictures() == {"products/d", "products/e", "products/f"}


async def test_public_path_is_set_and_old_object_name_returned() -> None:
    partner_path, product_path = "/api/v1/partner-pictures/new", "/api/v1/pictures/new"
    partner, product = v1.Partner(id=1, picture_url=partner_path), v1.Product(id=2, picture_url=product_path)
    stub = RecordingStub(
        set_partner_picture=v1.SetPartnerPictureResponse(
            partner=partner, old_picture_url="/api/v1/partner-pictures/old"
        ),
        set_product_picture=v1.SetProductPictureResponse(product=product, old_picture_url=None),
    )
    assert await RpcPartnerPictureRegistry(cast(Any, stub)).set_picture(1, "partners/new") == (partner, "partners/old")
    assert await RpcProductPictureRegistry(cast(Any, stub)).set_picture(2, "products/new") == (product, None)
    assert stub.requests == [
        v1.SetPartnerPictureRequest(partner_id=1, picture_url=partner_path),
        v1.SetProductPictureRequest(product_id=2, picture_url=product_path),
    ]


def test_public_path_of_image_identifies_its_folder() -> None:
    for paths, folder, prefix in (
        (PARTNER_PATHS, "partners", "partner-pictures"),
        (PRODUCT_PATHS, "products", "pictures"),
    ):
        assert paths.get_path(f"{folder}/a.b") == f"/api/v1/{prefix}/a.b"
        assert paths.get_object_name(f"/api/v1/{prefix}/a.b") == f"{folder}/a.b"
