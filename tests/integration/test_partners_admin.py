"""Partners through the gRPC servicer, with real servers."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from services.partners import usecases
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.rpc.codec import get_codec
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.partners_rpc import (
    ADA,
    ADMIN,
    CATALOG_CHANGED,
    availability_request,
    create_partner,
    create_partner_request,
    create_product,
    drain_events,
    get_error_reason,
    list_catalog,
    send_create_partner,
)


async def test_create_partner_is_idempotent_and_returns_secret_once(partners_rpc: PartnersRpc) -> None:
    key = generate_id()
    first = await send_create_partner(partners_rpc, create_partner_request(key))
    replayed = await send_create_partner(partners_rpc, create_partner_request(key))
    assert first.webhook_secret is not None
    assert first.webhook_secret.startswith("whsec_")
    assert (replayed.partner, replayed.replayed, replayed.webhook_secret) == (first.partner, True, None)
    assert (
        await get_error_reason(partners_rpc.create_partner(create_partner_request(key, title="South"), ADMIN))
        is Reason.IDEMPOTENCY_KEY_REUSED
    )


async def test_secrets_are_encrypted_at_rest(partners: PartnersFixture, partners_rpc: PartnersRpc) -> None:
    response = await send_create_partner(partners_rpc, create_partner_request(generate_id()))
    assert response.webhook_secret is not None
    for query in ("SELECT * FROM partners", "SELECT * FROM idempotency_keys"):
        for row in await partners.execute_sql(query):
            assert response.webhook_secret not in str(row)
            assert response.webhook_secret.encode() not in b"".join(
                bytes(v) for v in row.values() if isinstance(v, bytes)
            )


async def test_admin_methods_require_admin(partners_rpc: PartnersRpc) -> None:
    for work in (
        partners_rpc.create_partner(create_partner_request(), ADA),
        partners_rpc.list_partners(v1.ListPartnersRequest(page_size=1), ADA),
        partners_rpc.get_partner(v1.GetPartnerRequest(partner_id=1), ADA),
        partners_rpc.update_partner(v1.UpdatePartnerRequest(partner_id=1, title="x"), ADA),
        partners_rpc.disable_partner(v1.DisablePartnerRequest(partner_id=1), ADA),
        partners_rpc.rotate_partner_secret(v1.RotatePartnerSecretRequest(partner_id=1), ADA),
        partners_rpc.set_opening_hours(v1.SetOpeningHoursRequest(partner_id=1, time_zone="UTC"), ADA),
        partners_rpc.remove_opening_hours(v1.RemoveOpeningHoursRequest(partner_id=1), ADA),
        partners_rpc.set_partner_picture(v1.SetPartnerPictureRequest(partner_id=1, picture_url="/x"), ADA),
        partners_rpc.create_product(v1.CreateProductRequest(title="x"), ADA),
        partners_rpc.list_products(v1.ListProductsRequest(page_size=1), ADA),
        partners_rpc.get_product(v1.GetProductRequest(product_id=1), ADA),
        partners_rpc.update_product(v1.UpdateProductRequest(product_id=1, title="x"), ADA),
        partners_rpc.delete_product(v1.DeleteProductRequest(product_id=1), ADA),
        partners_rpc.set_availability(availability_request(1, 1), ADA),
        partners_rpc.remove_availability(v1.RemoveAvailabilityRequest(partner_id=1, product_id=1), ADA),
        partners_rpc.list_partner_calls(v1.ListPartnerCallsRequest(page_size=1), ADA),
        partners_rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id="x"), ADA),
    ):
        assert await get_error_reason(work) is Reason.FORBIDDEN


async def test_concurrent_updates_with_version_apply_once(partners_rpc: PartnersRpc) -> None:
    partner_id = await create_partner(partners_rpc)
    work = [
        partners_rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, brand=brand, version=1), ADMIN)
        for brand in ("A", "B", "C")
    ]
    results = await asyncio.gather(*work, return_exceptions=True)
    succeeded = [result for result in results if isinstance(result, v1.UpdatePartnerResponse)]
    failed = [result.reason for result in results if isinstance(result, ApiError)]
    assert failed == [Reason.PRECONDITION_FAILED] * 2
    current = await partners_rpc.get_partner(v1.GetPartnerRequest(partner_id=partner_id), ADMIN)
    assert (current.partner, current.version) == (succeeded[0].partner, 2)
    unchanged = await partners_rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, title="North"), ADMIN)
    assert unchanged.version == 2


@pytest.mark.parametrize(
    ("initial", "change", "is_published"),
    [
        ({}, {"title": "South"}, True),
        ({}, {"address": "2 Lane"}, True),
        ({}, {"verified": False}, True),
        ({}, {"enabled": False}, True),
        ({"verified": False}, {"verified": True}, True),
        ({}, {"phone": "+12025550109"}, False),
        ({}, {"api_url": "https://south.example"}, False),
        ({}, {"title": "North"}, False),
        ({"verified": False}, {"title": "South"}, False),
    ],
)
async def test_visible_partner_change_publishes_event(
    partners: PartnersFixture,
    partners_rpc: PartnersRpc,
    initial: dict[str, Any],
    change: dict[str, Any],
    is_published: bool,
) -> None:
    partner_id = await create_partner(partners_rpc, **initial)
    await drain_events(partners, f"partner:{partner_id}")
    await partners_rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, **change), ADMIN)
    assert await partners.list_pending_event_types(f"partner:{partner_id}") == (CATALOG_CHANGED if is_published else [])


async def test_disabled_partner_sells_nothing_until_enabled(
    partners: PartnersFixture, partners_rpc: PartnersRpc
) -> None:
    partner_id, product = await create_partner(partners_rpc), await create_product(partners_rpc)
    await partners_rpc.set_availability(availability_request(partner_id, product), ADMIN)
    await drain_events(partners, f"partner:{partner_id}")
    for _ in range(2):
        await partners_rpc.disable_partner(v1.DisablePartnerRequest(partner_id=partner_id), ADMIN)
    assert await drain_events(partners, f"partner:{partner_id}") == CATALOG_CHANGED
    listing = v1.ListPartnerProductsRequest(partner_id=partner_id, page_size=5)
    assert await get_error_reason(partners_rpc.list_partner_products(listing)) is Reason.PARTNER_NOT_FOUND
    assert (
        await get_error_reason(usecases.check_products(partners.repository, now, partner_id, [], 0, "USD"))
        is Reason.PARTNER_UNAVAILABLE
    )
    await partners.execute_sql("UPDATE partners SET gone = true WHERE id = %(id)s", id=partner_id)
    await partners_rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, enabled=True), ADMIN)
    assert len((await partners_rpc.list_partner_products(listing)).items) == 1
    stored = await partners.repository.partners.get(partner_id)
    assert stored is not None
    assert not stored.gone


async def test_partner_picture_is_stored_and_listed_in_catalog(
    partners: PartnersFixture, partners_rpc: PartnersRpc
) -> None:
    partner_id = await create_partner(partners_rpc)
    await partners_rpc.set_availability(availability_request(partner_id, await create_product(partners_rpc)), ADMIN)
    await drain_events(partners, f"partner:{partner_id}")
    url = f"/api/v1/partner-pictures/{partner_id}"
    for _ in range(2):
        await partners_rpc.set_partner_picture(
            v1.SetPartnerPictureRequest(partner_id=partner_id, picture_url=url), ADMIN
        )
    assert await partners.list_pending_event_types(f"partner:{partner_id}") == CATALOG_CHANGED
    assert (await partners_rpc.get_partner(v1.GetPartnerRequest(partner_id=partner_id), ADMIN)).version == 2
    encoded = await partners_rpc.list_catalog(v1.ListCatalogRequest(page_size=1, partner_id=partner_id))
    (entry,) = get_codec().decode(v1.ListCatalogResponse, encoded.data).items
    assert entry.picture_url == url
    token: str | None = ""
    urls: list[str] = []
    while token is not None:
        page = await partners_rpc.list_partner_pictures(v1.ListPartnerPicturesRequest(page_size=1, page_token=token))
        urls += page.picture_urls
        token = page.next_page_token
    assert url in urls


async def test_opening_hours_are_stored_and_published(partners: PartnersFixture, partners_rpc: PartnersRpc) -> None:
    partner_id = await create_partner(partners_rpc)
    await partners_rpc.set_availability(
        availability_request(partner_id, product := await create_product(partners_rpc)), ADMIN
    )
    await drain_events(partners, f"partner:{partner_id}")
    opens = now() + timedelta(hours=30)
    period = v1.OpeningPeriod(day=v1.Weekday(opens.isoweekday()), opens=f"{opens:%H:%M}", closes=f"{opens:%H:%M}")
    hours = v1.OpeningHours(time_zone="UTC", periods=[period])
    request = v1.SetOpeningHoursRequest(partner_id=partner_id, time_zone="UTC", periods=[period])
    for _ in range(2):
        await partners_rpc.set_opening_hours(request, ADMIN)
    assert await drain_events(partners, f"partner:{partner_id}") == CATALOG_CHANGED
    read = await partners_rpc.get_partner(v1.GetPartnerRequest(partner_id=partner_id), ADMIN)
    assert read.partner is not None
    assert (read.partner.opening_hours, read.version) == (hours, 2)
    encoded = await partners_rpc.list_catalog(v1.ListCatalogRequest(page_size=1, partner_id=partner_id))
    (entry,) = get_codec().decode(v1.ListCatalogResponse, encoded.data).items
    assert (entry.is_open, entry.opens_at) == (False, opens.replace(second=0, microsecond=0))
    assert entry.opening_hours == hours
    basket = v1.CheckProductsRequest(
        partner_id=partner_id,
        items=[v1.BasketItem(product_id=product, quantity=1)],
        total_amount=350,
        currency="USD",
    )
    assert await get_error_reason(partners_rpc.check_products(basket)) is Reason.PARTNER_CLOSED
    await partners_rpc.remove_opening_hours(v1.RemoveOpeningHoursRequest(partner_id=partner_id), ADMIN)
    assert await drain_events(partners, f"partner:{partner_id}") == CATALOG_CHANGED
    assert (await partners_rpc.check_products(basket)).total_amount == 350


async def test_delivery_fee_is_stored_and_part_of_the_total(
    partners: PartnersFixture, partners_rpc: PartnersRpc
) -> None:
    partner_id, product = await create_partner(partners_rpc, delivery_fee=250), await create_product(partners_rpc)
    await partners_rpc.set_availability(availability_request(partner_id, product), ADMIN)
    (entry,) = (await list_catalog(partners_rpc, partner_id=partner_id)).items
    assert (entry.delivery_fee, entry.delivery_fee_currency) == (250, "USD")
    basket = v1.CheckProductsRequest(
        partner_id=partner_id,
        items=[v1.BasketItem(product_id=product, quantity=1)],
        total_amount=600,
        currency="USD",
    )
    assert (await partners_rpc.check_products(basket)).delivery_fee == 250
    await drain_events(partners, f"partner:{partner_id}")
    await partners_rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, delivery_fee=0), ADMIN)
    assert await drain_events(partners, f"partner:{partner_id}") == CATALOG_CHANGED
    assert await get_error_reason(partners_rpc.check_products(basket)) is Reason.TOTAL_MISMATCH
