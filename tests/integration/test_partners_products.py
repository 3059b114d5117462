"""Products and prices through the gRPC servicer, with real servers."""

import asyncio

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.core.errors import ApiError
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.partners_rpc import (
    ADMIN,
    CATALOG_CHANGED,
    availability_request,
    create_partner,
    create_product,
    drain_events,
    get_error_reason,
)


async def test_pagination_continues_after_token(partners_rpc: PartnersRpc) -> None:
    product_ids = [await create_product(partners_rpc, f"Soup {index}") for index in range(5)]
    seen: list[int] = []
    token: str | None = ""
    while token is not None:
        page = await partners_rpc.list_products(v1.ListProductsRequest(page_size=2, page_token=token), ADMIN)
        assert len(page.items) <= 2
        seen += [product.id for product in page.items]
        token = page.next_page_token
    assert seen == sorted(set(seen))
    assert set(product_ids) <= set(seen)
    partner_id = await create_partner(partners_rpc)
    pages: list[int] = []
    token = ""
    while token is not None:
        listed = await partners_rpc.list_partners(v1.ListPartnersRequest(page_size=3, page_token=token), ADMIN)
        pages += [partner.id for partner in listed.items]
        token = listed.next_page_token
    assert pages == sorted(set(pages))
    assert partner_id in pages


async def test_product_update_and_deletion_apply_to_all_partners(
    partners: PartnersFixture, partners_rpc: PartnersRpc
) -> None:
    one, two, product = (
        await create_partner(partners_rpc),
        await create_partner(partners_rpc),
        await create_product(partners_rpc),
    )
    await partners_rpc.set_availability(availability_request(one, product, 100), ADMIN)
    await partners_rpc.set_availability(availability_request(two, product, 120), ADMIN)
    changed = v1.UpdateProductRequest(product_id=product, picture_url="https://pictures.example/1", version=1)
    assert (await partners_rpc.update_product(changed, ADMIN)).version == 2
    assert await get_error_reason(partners_rpc.update_product(changed, ADMIN)) is Reason.PRECONDITION_FAILED
    without_picture = await partners_rpc.update_product(
        v1.UpdateProductRequest(product_id=product, remove=["picture_url"]), ADMIN
    )
    assert without_picture.product is not None
    assert without_picture.product.picture_url is None
    assert await drain_events(partners, f"product:{product}") == CATALOG_CHANGED * 2
    shown = await partners_rpc.list_partner_products(v1.ListPartnerProductsRequest(partner_id=two, page_size=5))
    assert [(item.id, item.price) for item in shown.items] == [(product, 120)]
    await partners_rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN)
    assert await drain_events(partners, f"product:{product}") == CATALOG_CHANGED
    for partner_id in (one, two):
        shown = await partners_rpc.list_partner_products(
            v1.ListPartnerProductsRequest(partner_id=partner_id, page_size=5)
        )
        assert shown.items == []
    repeated = partners_rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN)
    assert await get_error_reason(repeated) is Reason.PRODUCT_NOT_FOUND


async def test_price_change_publishes_event(partners: PartnersFixture, partners_rpc: PartnersRpc) -> None:
    partner_id, product = await create_partner(partners_rpc), await create_product(partners_rpc)
    subject = f"partner:{partner_id}"
    for price, active, event_types in (
        (350, True, CATALOG_CHANGED),
        (350, True, []),
        (400, True, CATALOG_CHANGED),
        (400, False, CATALOG_CHANGED),
    ):
        response = await partners_rpc.set_availability(
            availability_request(partner_id, product, price, active=active), ADMIN
        )
        assert response.availability == v1.Availability(price=price, currency="USD", active=active)
        assert await drain_events(partners, subject) == event_types
    listing = v1.ListPartnerProductsRequest(partner_id=partner_id, page_size=5)
    assert (await partners_rpc.list_partner_products(listing)).items == []
    removal = v1.RemoveAvailabilityRequest(partner_id=partner_id, product_id=product)
    await partners_rpc.remove_availability(removal, ADMIN)
    assert await drain_events(partners, subject) == CATALOG_CHANGED
    assert await get_error_reason(partners_rpc.remove_availability(removal, ADMIN)) is Reason.PRODUCT_NOT_FOUND
    assert (
        await get_error_reason(partners_rpc.set_availability(availability_request(10**9, product), ADMIN))
        is Reason.PARTNER_NOT_FOUND
    )
    assert (
        await get_error_reason(partners_rpc.set_availability(availability_request(partner_id, 10**9), ADMIN))
        is Reason.PRODUCT_NOT_FOUND
    )


async def test_concurrent_price_and_deletion_leave_no_orphan_price(
    partners: PartnersFixture, partners_rpc: PartnersRpc
) -> None:
    partner_id = await create_partner(partners_rpc)
    for _ in range(10):
        product = await create_product(partners_rpc)
        results = await asyncio.gather(
            partners_rpc.set_availability(availability_request(partner_id, product), ADMIN),
            partners_rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN),
            return_exceptions=True,
        )
        assert [result.reason for result in results if isinstance(result, ApiError)] in ([], [Reason.PRODUCT_NOT_FOUND])
        assert not [result for result in results if isinstance(result, Exception) and not isinstance(result, ApiError)]
    assert await partners.execute_sql("SELECT * FROM availability WHERE partner_id = %(id)s", id=partner_id) == []


async def test_picture_change_publishes_event_once(partners: PartnersFixture, partners_rpc: PartnersRpc) -> None:
    product = await create_product(partners_rpc)
    request = v1.SetProductPictureRequest(product_id=product, picture_url="/api/v1/pictures/x")
    for _ in range(2):
        await partners_rpc.set_product_picture(request, ADMIN)
    assert await partners.list_pending_event_types(f"product:{product}") == CATALOG_CHANGED
    assert (await partners_rpc.get_product(v1.GetProductRequest(product_id=product), ADMIN)).version == 2
