"""Picture URLs of partners and products over gRPC."""

from typing import Any, cast

from generated.proto.delivery.partners import v1
from services.gateway.adapters.picture_registries import RpcPartnerPictureRegistry, RpcProductPictureRegistry
from tests.recording_stub import RecordingStub


class PagingStub:
    """Partners service with two pages of pictures."""

    async def list_partner_pictures(self, request: v1.ListPartnerPicturesRequest) -> v1.ListPartnerPicturesResponse:
        if request.page_token:
            return v1.ListPartnerPicturesResponse(picture_urls=["/c"])
        return v1.ListPartnerPicturesResponse(picture_urls=["/a", "/b"], next_page_token="2")

    async def list_product_pictures(self, request: v1.ListProductPicturesRequest) -> v1.ListProductPicturesResponse:
        if request.page_token:
            return v1.ListProductPicturesResponse(picture_urls=["/f"])
        return v1.ListProductPicturesResponse(picture_urls=["/d", "/e"], next_page_token="2")


async def test_picture_urls_of_all_pages_are_listed() -> None:
    stub = cast(Any, PagingStub())
    assert await RpcPartnerPictureRegistry(stub).list_picture_urls() == {"/a", "/b", "/c"}
    assert await RpcProductPictureRegistry(stub).list_picture_urls() == {"/d", "/e", "/f"}


async def test_picture_url_is_set_and_old_one_returned() -> None:
    partner, product = v1.Partner(id=1, picture_url="/new"), v1.Product(id=2, picture_url="/new")
    stub = RecordingStub(
        set_partner_picture=v1.SetPartnerPictureResponse(partner=partner, old_picture_url="/old"),
        set_product_picture=v1.SetProductPictureResponse(product=product, old_picture_url=None),
    )
    assert await RpcPartnerPictureRegistry(cast(Any, stub)).set_picture_url(1, "/new") == (partner, "/old")
    assert await RpcProductPictureRegistry(cast(Any, stub)).set_picture_url(2, "/new") == (product, None)
    assert stub.requests == [
        v1.SetPartnerPictureRequest(partner_id=1, picture_url="/new"),
        v1.SetProductPictureRequest(product_id=2, picture_url="/new"),
    ]
