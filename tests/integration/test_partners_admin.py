"""Partners, products, prices and calls through the gRPC servicer, with real servers."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from services.partners import usecases
from services.partners.domain.call_policy import Attempt, CallState, Outcome, PartnerResponse
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from services.runtime.rpc.codec import get_codec
from tests.integration.fixtures.partners import PartnersFixture

ADMIN = Principal("root", "admin", "root@delivery.test", True, now() + timedelta(hours=1))
ADA = Principal("ada", "customer", "ada@delivery.test", True, now() + timedelta(hours=1))
CATALOG_CHANGED = ["partners.catalog_changed"]


@pytest.fixture
def rpc(partners: PartnersFixture) -> PartnersRpc:
    return PartnersRpc(partners.repository, partners.secret_box, now)


def create_partner_request(key: str | None = None, **changes: Any) -> v1.CreatePartnerRequest:
    fields: dict[str, Any] = {
        "title": "North",
        "brand": "N",
        "phone": "+12025550101",
        "email": "n@delivery.test",
        "address": "1 Lane",
    }
    flags: dict[str, Any] = {"verified": True, "enabled": True, "api_url": "https://north.example/api"}
    return v1.CreatePartnerRequest(**(fields | flags | changes), idempotency_key=key)


async def send_create_partner(rpc: PartnersRpc, request: v1.CreatePartnerRequest) -> v1.CreatePartnerResponse:
    response = await rpc.create_partner(request, ADMIN)
    return get_codec().decode(v1.CreatePartnerResponse, response.data)


async def create_partner(rpc: PartnersRpc, **changes: Any) -> int:
    response = await send_create_partner(rpc, create_partner_request(**changes))
    assert response.partner is not None
    return response.partner.id


async def create_product(rpc: PartnersRpc, title: str = "Soup") -> int:
    encoded = await rpc.create_product(v1.CreateProductRequest(title=title, description="Warm."), ADMIN)
    response = get_codec().decode(v1.CreateProductResponse, encoded.data)
    assert response.product is not None
    return response.product.id


def availability_request(
    partner_id: int, product_id: int, price: int = 350, *, active: bool = True
) -> v1.SetAvailabilityRequest:
    return v1.SetAvailabilityRequest(
        partner_id=partner_id, product_id=product_id, price=price, currency="USD", active=active
    )


async def get_error_reason(work: Awaitable[Any]) -> Reason:
    with pytest.raises(ApiError) as raised:
        await work
    return raised.value.reason


async def drain_events(partners: PartnersFixture, subject: str) -> list[str]:
    """Return the types of the pending events about a subject and delete the events."""
    types = await partners.list_pending_event_types(subject)
    await partners.execute_sql("DELETE FROM outbox WHERE subject = %(subject)s", subject=subject)
    return types


async def test_create_partner_is_idempotent_and_returns_secret_once(rpc: PartnersRpc) -> None:
    key = generate_id()
    first = await send_create_partner(rpc, create_partner_request(key))
    replayed = await send_create_partner(rpc, create_partner_request(key))
    assert first.webhook_secret is not None
    assert first.webhook_secret.startswith("whsec_")
    assert (replayed.partner, replayed.replayed, replayed.webhook_secret) == (first.partner, True, None)
    assert (
        await get_error_reason(rpc.create_partner(create_partner_request(key, title="South"), ADMIN))
        is Reason.IDEMPOTENCY_KEY_REUSED
    )


async def test_secrets_are_encrypted_at_rest(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    response = await send_create_partner(rpc, create_partner_request(generate_id()))
    assert response.webhook_secret is not None
    for query in ("SELECT * FROM partners", "SELECT * FROM idempotency_keys"):
        for row in await partners.execute_sql(query):
            assert response.webhook_secret not in str(row)
            assert response.webhook_secret.encode() not in b"".join(
                bytes(v) for v in row.values() if isinstance(v, bytes)
            )


async def test_admin_methods_require_admin(rpc: PartnersRpc) -> None:
    for work in (
        rpc.create_partner(create_partner_request(), ADA),
        rpc.list_partners(v1.ListPartnersRequest(page_size=1), ADA),
        rpc.get_partner(v1.GetPartnerRequest(partner_id=1), ADA),
        rpc.update_partner(v1.UpdatePartnerRequest(partner_id=1, title="x"), ADA),
        rpc.disable_partner(v1.DisablePartnerRequest(partner_id=1), ADA),
        rpc.rotate_partner_secret(v1.RotatePartnerSecretRequest(partner_id=1), ADA),
        rpc.set_opening_hours(v1.SetOpeningHoursRequest(partner_id=1, time_zone="UTC"), ADA),
        rpc.remove_opening_hours(v1.RemoveOpeningHoursRequest(partner_id=1), ADA),
        rpc.set_partner_picture(v1.SetPartnerPictureRequest(partner_id=1, picture_url="/x"), ADA),
        rpc.create_product(v1.CreateProductRequest(title="x"), ADA),
        rpc.list_products(v1.ListProductsRequest(page_size=1), ADA),
        rpc.get_product(v1.GetProductRequest(product_id=1), ADA),
        rpc.update_product(v1.UpdateProductRequest(product_id=1, title="x"), ADA),
        rpc.delete_product(v1.DeleteProductRequest(product_id=1), ADA),
        rpc.set_availability(availability_request(1, 1), ADA),
        rpc.remove_availability(v1.RemoveAvailabilityRequest(partner_id=1, product_id=1), ADA),
        rpc.list_partner_calls(v1.ListPartnerCallsRequest(page_size=1), ADA),
        rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id="x"), ADA),
    ):
        assert await get_error_reason(work) is Reason.FORBIDDEN


async def test_concurrent_updates_with_version_apply_once(rpc: PartnersRpc) -> None:
    partner_id = await create_partner(rpc)
    work = [
        rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, brand=brand, version=1), ADMIN)
        for brand in ("A", "B", "C")
    ]
    results = await asyncio.gather(*work, return_exceptions=True)
    succeeded = [result for result in results if isinstance(result, v1.UpdatePartnerResponse)]
    failed = [result.reason for result in results if isinstance(result, ApiError)]
    assert failed == [Reason.PRECONDITION_FAILED] * 2
    current = await rpc.get_partner(v1.GetPartnerRequest(partner_id=partner_id), ADMIN)
    assert (current.partner, current.version) == (succeeded[0].partner, 2)
    unchanged = await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, title="North"), ADMIN)
    assert unchanged.version == 2


async def list_catalog(rpc: PartnersRpc, **filters: Any) -> v1.ListCatalogResponse:
    response = await rpc.list_catalog(v1.ListCatalogRequest(page_size=100, **filters))
    return get_codec().decode(v1.ListCatalogResponse, response.data)


async def test_catalog_lists_each_partners_products(rpc: PartnersRpc) -> None:
    soup, bread = await create_product(rpc, "Soup"), await create_product(rpc, "Bread")
    sold = {await create_partner(rpc): {soup: 350, bread: 90}, await create_partner(rpc): {soup: 400}}
    for partner_id, prices in sold.items():
        for product, price in prices.items():
            await rpc.set_availability(availability_request(partner_id, product, price), ADMIN)
    await create_partner(rpc)
    await rpc.set_availability(
        availability_request(min(sold), await create_product(rpc, "Inactive"), active=False), ADMIN
    )
    page = await list_catalog(rpc)
    shown = {entry.id: [(product.id, product.price) for product in entry.products] for entry in page.items}
    assert {partner_id: shown.get(partner_id) for partner_id in sold} == {
        n: sorted(prices.items()) for n, prices in sold.items()
    }
    assert all(shown.values())
    (found,) = (await list_catalog(rpc, partner_id=min(sold), q="BREA")).items
    assert [product.id for product in found.products] == [bread]


async def test_search_escapes_wildcards(rpc: PartnersRpc) -> None:
    titles = ("100 % rye", "100 x rye", r"A\B_C", r"A\BxC", "Ölsardinen", "It's")
    sold = {title: await create_product(rpc, title) for title in titles}
    partner = await create_partner(rpc)
    for product in sold.values():
        await rpc.set_availability(availability_request(partner, product, 100), ADMIN)
    for text, titles_found in {
        "100 % RYE": ["100 % rye"],
        "%": ["100 % rye"],
        r"\b_c": [r"A\B_C"],
        "_": [r"A\B_C"],
        "ölsa": ["Ölsardinen"],
        "'": ["It's"],
        "x": ["100 x rye", r"A\BxC"],
    }.items():
        (found,) = (await list_catalog(rpc, partner_id=partner, q=text)).items
        assert [product.id for product in found.products] == sorted(sold[title] for title in titles_found), text


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
    partners: PartnersFixture, rpc: PartnersRpc, initial: dict[str, Any], change: dict[str, Any], is_published: bool
) -> None:
    partner_id = await create_partner(rpc, **initial)
    await drain_events(partners, f"partner:{partner_id}")
    await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, **change), ADMIN)
    assert await partners.list_pending_event_types(f"partner:{partner_id}") == (CATALOG_CHANGED if is_published else [])


async def test_disabled_partner_sells_nothing_until_enabled(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    partner_id, product = await create_partner(rpc), await create_product(rpc)
    await rpc.set_availability(availability_request(partner_id, product), ADMIN)
    await drain_events(partners, f"partner:{partner_id}")
    for _ in range(2):
        await rpc.disable_partner(v1.DisablePartnerRequest(partner_id=partner_id), ADMIN)
    assert await drain_events(partners, f"partner:{partner_id}") == CATALOG_CHANGED
    listing = v1.ListPartnerProductsRequest(partner_id=partner_id, page_size=5)
    assert await get_error_reason(rpc.list_partner_products(listing)) is Reason.PARTNER_NOT_FOUND
    assert (
        await get_error_reason(usecases.check_products(partners.repository, now, partner_id, [], 0, "USD"))
        is Reason.PARTNER_UNAVAILABLE
    )
    await partners.execute_sql("UPDATE partners SET gone = true WHERE id = %(id)s", id=partner_id)
    await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, enabled=True), ADMIN)
    assert len((await rpc.list_partner_products(listing)).items) == 1
    stored = await partners.repository.partners.get(partner_id)
    assert stored is not None
    assert not stored.gone


async def test_pagination_continues_after_token(rpc: PartnersRpc) -> None:
    product_ids = [await create_product(rpc, f"Soup {index}") for index in range(5)]
    seen: list[int] = []
    token: str | None = ""
    while token is not None:
        page = await rpc.list_products(v1.ListProductsRequest(page_size=2, page_token=token), ADMIN)
        assert len(page.items) <= 2
        seen += [product.id for product in page.items]
        token = page.next_page_token
    assert seen == sorted(set(seen))
    assert set(product_ids) <= set(seen)
    partner_id = await create_partner(rpc)
    pages: list[int] = []
    token = ""
    while token is not None:
        listed = await rpc.list_partners(v1.ListPartnersRequest(page_size=3, page_token=token), ADMIN)
        pages += [partner.id for partner in listed.items]
        token = listed.next_page_token
    assert pages == sorted(set(pages))
    assert partner_id in pages


async def test_product_update_and_deletion_apply_to_all_partners(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    one, two, product = await create_partner(rpc), await create_partner(rpc), await create_product(rpc)
    await rpc.set_availability(availability_request(one, product, 100), ADMIN)
    await rpc.set_availability(availability_request(two, product, 120), ADMIN)
    changed = v1.UpdateProductRequest(product_id=product, picture_url="https://pictures.example/1", version=1)
    assert (await rpc.update_product(changed, ADMIN)).version == 2
    assert await get_error_reason(rpc.update_product(changed, ADMIN)) is Reason.PRECONDITION_FAILED
    without_picture = await rpc.update_product(
        v1.UpdateProductRequest(product_id=product, remove=["picture_url"]), ADMIN
    )
    assert without_picture.product is not None
    assert without_picture.product.picture_url is None
    assert await drain_events(partners, f"product:{product}") == CATALOG_CHANGED * 2
    shown = await rpc.list_partner_products(v1.ListPartnerProductsRequest(partner_id=two, page_size=5))
    assert [(item.id, item.price) for item in shown.items] == [(product, 120)]
    await rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN)
    assert await drain_events(partners, f"product:{product}") == CATALOG_CHANGED
    for partner_id in (one, two):
        shown = await rpc.list_partner_products(v1.ListPartnerProductsRequest(partner_id=partner_id, page_size=5))
        assert shown.items == []
    repeated = rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN)
    assert await get_error_reason(repeated) is Reason.PRODUCT_NOT_FOUND


async def test_price_change_publishes_event(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    partner_id, product = await create_partner(rpc), await create_product(rpc)
    subject = f"partner:{partner_id}"
    for price, active, event_types in (
        (350, True, CATALOG_CHANGED),
        (350, True, []),
        (400, True, CATALOG_CHANGED),
        (400, False, CATALOG_CHANGED),
    ):
        response = await rpc.set_availability(availability_request(partner_id, product, price, active=active), ADMIN)
        assert response.availability == v1.Availability(price=price, currency="USD", active=active)
        assert await drain_events(partners, subject) == event_types
    listing = v1.ListPartnerProductsRequest(partner_id=partner_id, page_size=5)
    assert (await rpc.list_partner_products(listing)).items == []
    removal = v1.RemoveAvailabilityRequest(partner_id=partner_id, product_id=product)
    await rpc.remove_availability(removal, ADMIN)
    assert await drain_events(partners, subject) == CATALOG_CHANGED
    assert await get_error_reason(rpc.remove_availability(removal, ADMIN)) is Reason.PRODUCT_NOT_FOUND
    assert (
        await get_error_reason(rpc.set_availability(availability_request(10**9, product), ADMIN))
        is Reason.PARTNER_NOT_FOUND
    )
    assert (
        await get_error_reason(rpc.set_availability(availability_request(partner_id, 10**9), ADMIN))
        is Reason.PRODUCT_NOT_FOUND
    )


async def test_concurrent_price_and_deletion_leave_no_orphan_price(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    partner_id = await create_partner(rpc)
    for _ in range(10):
        product = await create_product(rpc)
        results = await asyncio.gather(
            rpc.set_availability(availability_request(partner_id, product), ADMIN),
            rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN),
            return_exceptions=True,
        )
        assert [result.reason for result in results if isinstance(result, ApiError)] in ([], [Reason.PRODUCT_NOT_FOUND])
        assert not [result for result in results if isinstance(result, Exception) and not isinstance(result, ApiError)]
    assert await partners.execute_sql("SELECT * FROM availability WHERE partner_id = %(id)s", id=partner_id) == []


async def test_calls_are_listed_newest_first_and_filtered(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    one, two = [await partners.add_partner("http://alive.test", "whsec_AAAA") for _ in range(2)]
    calls = [await partners.plan_order_call(partner) for partner in (one, two, one)]
    at = now()
    await partners.due_calls.claim_due_calls(1, 1, at, at + timedelta(seconds=1))
    first = v1.ListPartnerCallsRequest(page_size=2)
    page = await rpc.list_partner_calls(first, ADMIN)
    rest = await rpc.list_partner_calls(
        v1.ListPartnerCallsRequest(page_size=2, page_token=page.next_page_token or ""), ADMIN
    )
    assert [call.id for call in (*page.items, *rest.items)] == [call.id for call in reversed(calls)]
    assert rest.next_page_token is None
    for filters, call_ids in (
        ({"partner_id": one.id}, [calls[2].id, calls[0].id]),
        ({"order_id": calls[1].order_id}, [calls[1].id]),
        ({"status": v1.PartnerCallStatus.FAILED}, []),
    ):
        found = await rpc.list_partner_calls(v1.ListPartnerCallsRequest(page_size=9, **filters), ADMIN)
        assert [call.id for call in found.items] == call_ids
    [shown] = (await rpc.list_partner_calls(v1.ListPartnerCallsRequest(9, "", None, calls[1].order_id), ADMIN)).items
    assert msgspec.json.decode(shown.body) == calls[1].payload
    assert (shown.kind, shown.status) == (v1.PartnerCallKind.ORDER, v1.PartnerCallStatus.WAITING)


async def test_only_old_finished_calls_are_deleted(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://alive.test", "whsec_AAAA")
    old, waiting, new = [await partners.plan_order_call(partner) for _ in range(3)]
    for call in (old, new):
        await partners.execute_sql("UPDATE partner_calls SET state = 'delivered' WHERE id = %(id)s", id=call.id)
    await partners.plan_cancellation_call(old.order_id)
    for statement in (
        "UPDATE partner_calls SET created_at = created_at - interval '91 days' WHERE order_id = ANY(%(ids)s)",
        "UPDATE cancelled_orders SET at = at - interval '91 days' WHERE order_id = ANY(%(ids)s)",
    ):
        await partners.execute_sql(statement, ids=[old.order_id, waiting.order_id])
    while await partners.due_calls.delete_old_calls(now() - timedelta(days=90)):
        pass
    remaining = await partners.execute_sql("SELECT order_id FROM partner_calls WHERE kind = 'order'")
    assert {row["order_id"] for row in remaining} == {waiting.order_id, new.order_id}
    marks = "SELECT 1 FROM cancelled_orders WHERE order_id = %(id)s"
    assert await partners.execute_sql(marks, id=old.order_id) == []


class StubPartnerSystem:
    """A partner system that responds with `outcome` and records the ids of calls."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.outcome = Outcome.REJECTED

    async def send(self, partner: Any, call: Any) -> PartnerResponse:
        self.ids.append(call.id)
        return PartnerResponse(self.outcome, str(self.outcome))


async def make_due_calls(partners: PartnersFixture, system: StubPartnerSystem) -> None:
    at = now()
    for call in await partners.due_calls.claim_due_calls(9, 4, at, at + timedelta(seconds=1)):
        await usecases.make_call(partners.repository, system, now, (0, 0), timedelta(seconds=1), call)


async def test_replay_sends_call_with_same_id(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    call = await partners.plan_order_call(await partners.add_partner("http://alive.test", "whsec_AAAA"))
    system = StubPartnerSystem()
    await make_due_calls(partners, system)
    assert (await partners.get_call(call.id)).state is CallState.FAILED
    system.outcome = Outcome.ACCEPTED
    await rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=call.id), ADMIN)
    await make_due_calls(partners, system)
    done = await partners.get_call(call.id)
    assert (done.state, done.attempts, system.ids) == (CallState.DELIVERED, 1, [call.id, call.id])
    assert [type(attempt) for attempt in done.tries] == [Attempt, Attempt]
    assert await partners.list_pending_event_types(call.order_id) == ["partners.unreachable", "partners.notified"]


async def test_replay_of_cancelled_order_is_rejected(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    call = await partners.plan_order_call(await partners.add_partner("http://alive.test", "whsec_AAAA"))
    system = StubPartnerSystem()
    await make_due_calls(partners, system)
    cancellation = await partners.plan_cancellation_call(call.order_id)
    replay = rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=call.id), ADMIN)
    assert await get_error_reason(replay) is Reason.PARTNER_CALL_CONFLICT
    await rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=cancellation), ADMIN)
    unknown = rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=generate_id()), ADMIN)
    assert await get_error_reason(unknown) is Reason.PARTNER_CALL_NOT_FOUND


async def test_picture_change_publishes_event_once(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    product = await create_product(rpc)
    request = v1.SetProductPictureRequest(product_id=product, picture_url="/api/v1/pictures/x")
    for _ in range(2):
        await rpc.set_product_picture(request, ADMIN)
    assert await partners.list_pending_event_types(f"product:{product}") == CATALOG_CHANGED
    assert (await rpc.get_product(v1.GetProductRequest(product_id=product), ADMIN)).version == 2


async def test_partner_picture_is_stored_and_listed_in_catalog(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    partner_id = await create_partner(rpc)
    await rpc.set_availability(availability_request(partner_id, await create_product(rpc)), ADMIN)
    await drain_events(partners, f"partner:{partner_id}")
    url = f"/api/v1/partner-pictures/{partner_id}"
    for _ in range(2):
        await rpc.set_partner_picture(v1.SetPartnerPictureRequest(partner_id=partner_id, picture_url=url), ADMIN)
    assert await partners.list_pending_event_types(f"partner:{partner_id}") == CATALOG_CHANGED
    assert (await rpc.get_partner(v1.GetPartnerRequest(partner_id=partner_id), ADMIN)).version == 2
    encoded = await rpc.list_catalog(v1.ListCatalogRequest(page_size=1, partner_id=partner_id))
    (entry,) = get_codec().decode(v1.ListCatalogResponse, encoded.data).items
    assert entry.picture_url == url
    token: str | None = ""
    urls: list[str] = []
    while token is not None:
        page = await rpc.list_partner_pictures(v1.ListPartnerPicturesRequest(page_size=1, page_token=token))
        urls += page.picture_urls
        token = page.next_page_token
    assert url in urls


async def test_opening_hours_are_stored_and_published(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    partner_id = await create_partner(rpc)
    await rpc.set_availability(availability_request(partner_id, product := await create_product(rpc)), ADMIN)
    await drain_events(partners, f"partner:{partner_id}")
    opens = now() + timedelta(hours=30)
    period = v1.OpeningPeriod(day=v1.Weekday(opens.isoweekday()), opens=f"{opens:%H:%M}", closes=f"{opens:%H:%M}")
    hours = v1.OpeningHours(time_zone="UTC", periods=[period])
    request = v1.SetOpeningHoursRequest(partner_id=partner_id, time_zone="UTC", periods=[period])
    for _ in range(2):
        await rpc.set_opening_hours(request, ADMIN)
    assert await drain_events(partners, f"partner:{partner_id}") == CATALOG_CHANGED
    read = await rpc.get_partner(v1.GetPartnerRequest(partner_id=partner_id), ADMIN)
    assert read.partner is not None
    assert (read.partner.opening_hours, read.version) == (hours, 2)
    encoded = await rpc.list_catalog(v1.ListCatalogRequest(page_size=1, partner_id=partner_id))
    (entry,) = get_codec().decode(v1.ListCatalogResponse, encoded.data).items
    assert (entry.is_open, entry.opens_at) == (False, opens.replace(second=0, microsecond=0))
    assert entry.opening_hours == hours
    basket = v1.CheckProductsRequest(
        partner_id=partner_id,
        items=[v1.BasketItem(product_id=product, quantity=1)],
        total_amount=350,
        currency="USD",
    )
    assert await get_error_reason(rpc.check_products(basket)) is Reason.PARTNER_CLOSED
    await rpc.remove_opening_hours(v1.RemoveOpeningHoursRequest(partner_id=partner_id), ADMIN)
    assert await drain_events(partners, f"partner:{partner_id}") == CATALOG_CHANGED
    assert (await rpc.check_products(basket)).total_amount == 350


async def test_delivery_fee_is_stored_and_part_of_the_total(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    partner_id, product = await create_partner(rpc, delivery_fee=250), await create_product(rpc)
    await rpc.set_availability(availability_request(partner_id, product), ADMIN)
    (entry,) = (await list_catalog(rpc, partner_id=partner_id)).items
    assert (entry.delivery_fee, entry.delivery_fee_currency) == (250, "USD")
    basket = v1.CheckProductsRequest(
        partner_id=partner_id,
        items=[v1.BasketItem(product_id=product, quantity=1)],
        total_amount=600,
        currency="USD",
    )
    assert (await rpc.check_products(basket)).delivery_fee == 250
    await drain_events(partners, f"partner:{partner_id}")
    await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=partner_id, delivery_fee=0), ADMIN)
    assert await drain_events(partners, f"partner:{partner_id}") == CATALOG_CHANGED
    assert await get_error_reason(rpc.check_products(basket)) is Reason.TOTAL_MISMATCH
