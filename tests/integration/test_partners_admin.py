"""Partners, products and prices on real servers, through the service's own door."""

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
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from services.runtime.outbound import webhooks
from services.runtime.rpc.codec import get_codec
from tests.integration.fixtures.partners import PartnersFixture

ADMIN = Principal("root", "admin", "root@delivery.test", True, now() + timedelta(hours=1))
ADA = Principal("ada", "customer", "ada@delivery.test", True, now() + timedelta(hours=1))
CHANGED = ["partners.catalog_changed"]


@pytest.fixture
def rpc(partners: PartnersFixture) -> PartnersRpc:
    return PartnersRpc(partners.repository, partners.secret_box, now)


def partner(key: str | None = None, **changed: Any) -> v1.CreatePartnerRequest:
    said: dict[str, Any] = {
        "title": "North",
        "brand": "N",
        "phone": "+12025550101",
        "email": "n@delivery.test",
        "address": "1 Lane",
    }
    flags: dict[str, Any] = {"verified": True, "enabled": True, "api_url": "https://north.example/api"}
    return v1.CreatePartnerRequest(**(said | flags | changed), idempotency_key=key)


async def new_partner(rpc: PartnersRpc, **changed: Any) -> int:
    made = await rpc.create_partner(partner(**changed), ADMIN)
    assert made.partner is not None
    return made.partner.id


async def new_product(rpc: PartnersRpc, title: str = "Soup") -> int:
    made = await rpc.create_product(v1.CreateProductRequest(title=title, description="Warm."), ADMIN)
    assert made.product is not None
    return made.product.id


def offer(partner_id: int, product_id: int, price: int = 350, *, active: bool = True) -> v1.SetAvailabilityRequest:
    return v1.SetAvailabilityRequest(
        partner_id=partner_id,
        product_id=product_id,
        availability=v1.Availability(price=price, currency="USD", active=active),
    )


async def refused(work: Awaitable[Any]) -> Reason:
    with pytest.raises(ApiError) as raised:
        await work
    return raised.value.reason


async def drained(partners: PartnersFixture, subject: str) -> list[str]:
    """The events about something since the last look."""
    types = await partners.list_pending_event_types(subject)
    await partners.execute_sql("DELETE FROM outbox WHERE subject = %(subject)s", subject=subject)
    return types


async def test_a_secret_is_said_once_and_a_repeated_request_makes_no_second_partner(rpc: PartnersRpc) -> None:
    key = new_id()
    first = await rpc.create_partner(partner(key), ADMIN)
    again = await rpc.create_partner(partner(key), ADMIN)
    assert first.webhook_secret is not None
    assert first.webhook_secret.startswith("whsec_")
    assert (again.partner, again.replayed, again.webhook_secret) == (first.partner, True, None)
    assert await refused(rpc.create_partner(partner(key, title="South"), ADMIN)) is Reason.IDEMPOTENCY_KEY_REUSED


async def test_secrets_are_not_kept_in_the_clear(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    made = await rpc.create_partner(partner(new_id()), ADMIN)
    assert made.webhook_secret is not None
    for query in ("SELECT * FROM partners", "SELECT * FROM idempotency_keys"):
        for row in await partners.execute_sql(query):
            assert made.webhook_secret not in str(row)
            assert made.webhook_secret.encode() not in b"".join(bytes(v) for v in row.values() if isinstance(v, bytes))


async def test_only_admins_come_through(rpc: PartnersRpc) -> None:
    for work in (
        rpc.create_partner(partner(), ADA),
        rpc.list_partners(v1.ListPartnersRequest(page_size=1), ADA),
        rpc.get_partner(v1.GetPartnerRequest(partner_id=1), ADA),
        rpc.update_partner(v1.UpdatePartnerRequest(partner_id=1, title="x"), ADA),
        rpc.disable_partner(v1.DisablePartnerRequest(partner_id=1), ADA),
        rpc.rotate_partner_secret(v1.RotatePartnerSecretRequest(partner_id=1), ADA),
        rpc.create_product(v1.CreateProductRequest(title="x"), ADA),
        rpc.list_products(v1.ListProductsRequest(page_size=1), ADA),
        rpc.get_product(v1.GetProductRequest(product_id=1), ADA),
        rpc.update_product(v1.UpdateProductRequest(product_id=1, title="x"), ADA),
        rpc.delete_product(v1.DeleteProductRequest(product_id=1), ADA),
        rpc.set_availability(offer(1, 1), ADA),
        rpc.remove_availability(v1.RemoveAvailabilityRequest(partner_id=1, product_id=1), ADA),
        rpc.list_partner_calls(v1.ListPartnerCallsRequest(page_size=1), ADA),
        rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id="x"), ADA),
    ):
        assert await refused(work) is Reason.FORBIDDEN


async def test_a_change_names_the_version_it_is_made_to_and_one_of_two_wins(rpc: PartnersRpc) -> None:
    number = await new_partner(rpc)
    work = [
        rpc.update_partner(v1.UpdatePartnerRequest(partner_id=number, brand=brand, version=1), ADMIN)
        for brand in ("A", "B", "C")
    ]
    done = await asyncio.gather(*work, return_exceptions=True)
    won = [one for one in done if isinstance(one, v1.UpdatePartnerResponse)]
    lost = [one.reason for one in done if isinstance(one, ApiError)]
    assert lost == [Reason.PRECONDITION_FAILED] * 2
    read = await rpc.get_partner(v1.GetPartnerRequest(partner_id=number), ADMIN)
    assert (read.partner, read.version) == (won[0].partner, 2)
    same = await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=number, title="North"), ADMIN)
    assert same.version == 2


async def catalog(rpc: PartnersRpc, **wanted: Any) -> v1.ListCatalogResponse:
    answer = await rpc.list_catalog(v1.ListCatalogRequest(page_size=100, **wanted))
    return get_codec().decode(v1.ListCatalogResponse, answer.data)


async def test_the_catalog_shows_at_each_partner_what_that_one_sells(rpc: PartnersRpc) -> None:
    soup, bread = await new_product(rpc, "Soup"), await new_product(rpc, "Bread")
    sold = {await new_partner(rpc): {soup: 350, bread: 90}, await new_partner(rpc): {soup: 400}}
    for number, prices in sold.items():
        for product, price in prices.items():
            await rpc.set_availability(offer(number, product, price), ADMIN)
    await new_partner(rpc)
    await rpc.set_availability(offer(min(sold), await new_product(rpc, "Gone"), active=False), ADMIN)
    page = await catalog(rpc)
    shown = {entry.id: [(one.id, one.price) for one in entry.products] for entry in page.items}
    assert {number: shown.get(number) for number in sold} == {n: sorted(prices.items()) for n, prices in sold.items()}
    assert all(shown.values())
    (found,) = (await catalog(rpc, partner_id=min(sold), q="BREA")).items
    assert [one.id for one in found.products] == [bread]


async def test_words_of_a_search_mean_themselves_wherever_they_stand(rpc: PartnersRpc) -> None:
    titles = ("100 % rye", "100 x rye", r"A\B_C", r"A\BxC", "Ölsardinen", "It's")
    sold = {title: await new_product(rpc, title) for title in titles}
    partner = await new_partner(rpc)
    for product in sold.values():
        await rpc.set_availability(offer(partner, product, 100), ADMIN)
    for words, wanted in {
        "100 % RYE": ["100 % rye"],
        "%": ["100 % rye"],
        r"\b_c": [r"A\B_C"],
        "_": [r"A\B_C"],
        "ölsa": ["Ölsardinen"],
        "'": ["It's"],
        "x": ["100 x rye", r"A\BxC"],
    }.items():
        (found,) = (await catalog(rpc, partner_id=partner, q=words)).items
        assert [one.id for one in found.products] == sorted(sold[title] for title in wanted), words


@pytest.mark.parametrize(
    ("was", "change", "told"),
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
async def test_what_customers_see_of_a_partner_is_told_when_it_changes(
    partners: PartnersFixture, rpc: PartnersRpc, was: dict[str, Any], change: dict[str, Any], told: bool
) -> None:
    number = await new_partner(rpc, **was)
    await drained(partners, f"partner:{number}")
    await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=number, **change), ADMIN)
    assert await partners.list_pending_event_types(f"partner:{number}") == (CHANGED if told else [])


async def test_a_partner_that_is_off_sells_nothing_until_it_is_on_again(
    partners: PartnersFixture, rpc: PartnersRpc
) -> None:
    number, product = await new_partner(rpc), await new_product(rpc)
    await rpc.set_availability(offer(number, product), ADMIN)
    await drained(partners, f"partner:{number}")
    for _ in range(2):
        await rpc.disable_partner(v1.DisablePartnerRequest(partner_id=number), ADMIN)
    assert await drained(partners, f"partner:{number}") == CHANGED
    listing = v1.ListPartnerProductsRequest(partner_id=number, page_size=5)
    assert await refused(rpc.list_partner_products(listing)) is Reason.PARTNER_NOT_FOUND
    assert (
        await refused(usecases.check_products(partners.repository, number, [], 0, "USD")) is Reason.PARTNER_UNAVAILABLE
    )
    await partners.execute_sql("UPDATE partners SET gone = true WHERE id = %(id)s", id=number)
    await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=number, enabled=True), ADMIN)
    assert len((await rpc.list_partner_products(listing)).items) == 1
    kept = await partners.repository.get_partner(number)
    assert kept is not None
    assert not kept.gone


async def test_an_old_secret_verifies_for_a_day_more(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    made = await rpc.create_partner(partner(), ADMIN)
    assert made.partner is not None
    assert made.webhook_secret is not None
    kept = await partners.repository.get_partner(made.partner.id)
    assert kept is not None
    call = await partners.plan_order_call(kept)
    request = v1.RotatePartnerSecretRequest(partner_id=kept.id)
    second = (await rpc.rotate_partner_secret(request, ADMIN)).webhook_secret
    number = kept.id
    body = msgspec.json.encode({"order_id": call.order_id, "pickup_address": "1 Lane"})

    async def verifies(rpc: PartnersRpc, secret: str) -> bool:
        headers = webhooks.sign_message(new_id(), now(), body, secret)
        callback = v1.VerifyReadyCallbackRequest(
            partner_id=number,
            webhook_id=headers["webhook-id"],
            webhook_timestamp=headers["webhook-timestamp"],
            webhook_signature=headers["webhook-signature"],
            body=body,
        )
        try:
            return (await rpc.verify_ready_callback(callback)).order_id == call.order_id
        except ApiError as refusal:
            if refusal.reason is not Reason.SIGNATURE_INVALID:
                raise
            return False

    assert [await verifies(rpc, secret) for secret in (made.webhook_secret, second)] == [True, True]
    # The clock of the signatures stays: only the overlap is over.
    await partners.execute_sql(
        "UPDATE partners SET old_secret_until = old_secret_until - interval '24 hours' WHERE id = %(id)s", id=kept.id
    )
    assert [await verifies(rpc, secret) for secret in (made.webhook_secret, second)] == [False, True]
    third = (await rpc.rotate_partner_secret(request, ADMIN)).webhook_secret
    assert [await verifies(rpc, secret) for secret in (made.webhook_secret, second, third)] == [False, True, True]


async def test_pages_go_on_where_the_last_ended(rpc: PartnersRpc) -> None:
    made = [await new_product(rpc, f"Soup {number}") for number in range(5)]
    seen: list[int] = []
    token: str | None = ""
    while token is not None:
        page = await rpc.list_products(v1.ListProductsRequest(page_size=2, page_token=token), ADMIN)
        assert len(page.items) <= 2
        seen += [product.id for product in page.items]
        token = page.next_page_token
    assert seen == sorted(set(seen))
    assert set(made) <= set(seen)
    number = await new_partner(rpc)
    pages: list[int] = []
    token = ""
    while token is not None:
        listed = await rpc.list_partners(v1.ListPartnersRequest(page_size=3, page_token=token), ADMIN)
        pages += [one.id for one in listed.items]
        token = listed.next_page_token
    assert pages == sorted(set(pages))
    assert number in pages


async def test_a_product_is_changed_everywhere_and_deleted_everywhere(
    partners: PartnersFixture, rpc: PartnersRpc
) -> None:
    one, two, product = await new_partner(rpc), await new_partner(rpc), await new_product(rpc)
    await rpc.set_availability(offer(one, product, 100), ADMIN)
    await rpc.set_availability(offer(two, product, 120), ADMIN)
    changed = v1.UpdateProductRequest(product_id=product, picture_url="https://pictures.example/1", version=1)
    assert (await rpc.update_product(changed, ADMIN)).version == 2
    assert await refused(rpc.update_product(changed, ADMIN)) is Reason.PRECONDITION_FAILED
    bare = await rpc.update_product(v1.UpdateProductRequest(product_id=product, remove_picture=True), ADMIN)
    assert bare.product is not None
    assert bare.product.picture_url is None
    assert await drained(partners, f"product:{product}") == CHANGED * 2
    shown = await rpc.list_partner_products(v1.ListPartnerProductsRequest(partner_id=two, page_size=5))
    assert [(item.id, item.price) for item in shown.items] == [(product, 120)]
    await rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN)
    assert await drained(partners, f"product:{product}") == CHANGED
    for number in (one, two):
        shown = await rpc.list_partner_products(v1.ListPartnerProductsRequest(partner_id=number, page_size=5))
        assert shown.items == []
    again = rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN)
    assert await refused(again) is Reason.PRODUCT_NOT_FOUND


async def test_prices_are_told_when_they_change(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    number, product = await new_partner(rpc), await new_product(rpc)
    subject = f"partner:{number}"
    for price, active, told in ((350, True, CHANGED), (350, True, []), (400, True, CHANGED), (400, False, CHANGED)):
        done = await rpc.set_availability(offer(number, product, price, active=active), ADMIN)
        assert done.availability == v1.Availability(price=price, currency="USD", active=active)
        assert await drained(partners, subject) == told
    listing = v1.ListPartnerProductsRequest(partner_id=number, page_size=5)
    assert (await rpc.list_partner_products(listing)).items == []
    gone = v1.RemoveAvailabilityRequest(partner_id=number, product_id=product)
    await rpc.remove_availability(gone, ADMIN)
    assert await drained(partners, subject) == CHANGED
    assert await refused(rpc.remove_availability(gone, ADMIN)) is Reason.PRODUCT_NOT_FOUND
    assert await refused(rpc.set_availability(offer(10**9, product), ADMIN)) is Reason.PARTNER_NOT_FOUND
    assert await refused(rpc.set_availability(offer(number, 10**9), ADMIN)) is Reason.PRODUCT_NOT_FOUND


async def test_a_price_and_a_deletion_at_once_leave_no_price_of_nothing(
    partners: PartnersFixture, rpc: PartnersRpc
) -> None:
    number = await new_partner(rpc)
    for _ in range(10):
        product = await new_product(rpc)
        done = await asyncio.gather(
            rpc.set_availability(offer(number, product), ADMIN),
            rpc.delete_product(v1.DeleteProductRequest(product_id=product), ADMIN),
            return_exceptions=True,
        )
        assert [one.reason for one in done if isinstance(one, ApiError)] in ([], [Reason.PRODUCT_NOT_FOUND])
        assert not [one for one in done if isinstance(one, Exception) and not isinstance(one, ApiError)]
    assert await partners.execute_sql("SELECT * FROM availability WHERE partner_id = %(id)s", id=number) == []


async def test_calls_are_listed_newest_first_and_filtered(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    one, two = [await partners.add_partner("http://alive.test", "whsec_AAAA") for _ in range(2)]
    calls = [await partners.plan_order_call(kitchen) for kitchen in (one, two, one)]
    at = now()
    await partners.repository.claim_due_calls(1, 1, at, at + timedelta(seconds=1))
    first = v1.ListPartnerCallsRequest(page_size=2)
    page = await rpc.list_partner_calls(first, ADMIN)
    rest = await rpc.list_partner_calls(
        v1.ListPartnerCallsRequest(page_size=2, page_token=page.next_page_token or ""), ADMIN
    )
    assert [call.id for call in (*page.items, *rest.items)] == [call.id for call in reversed(calls)]
    assert rest.next_page_token is None
    for said, wanted in (
        ({"partner_id": one.id}, [calls[2].id, calls[0].id]),
        ({"order_id": calls[1].order_id}, [calls[1].id]),
        ({"status": v1.PartnerCallStatus.FAILED}, []),
    ):
        found = await rpc.list_partner_calls(v1.ListPartnerCallsRequest(page_size=9, **said), ADMIN)
        assert [call.id for call in found.items] == wanted
    [shown] = (await rpc.list_partner_calls(v1.ListPartnerCallsRequest(9, "", None, calls[1].order_id), ADMIN)).items
    assert msgspec.json.decode(shown.body) == calls[1].payload
    assert (shown.kind, shown.status) == (v1.PartnerCallKind.ORDER, v1.PartnerCallStatus.WAITING)


async def test_calls_that_are_over_are_cleared_when_they_are_old_and_others_stay(partners: PartnersFixture) -> None:
    kitchen = await partners.add_partner("http://alive.test", "whsec_AAAA")
    old, waiting, new = [await partners.plan_order_call(kitchen) for _ in range(3)]
    for call in (old, new):
        await partners.execute_sql("UPDATE partner_calls SET state = 'delivered' WHERE id = %(id)s", id=call.id)
    await partners.plan_cancellation_call(old.order_id)
    for table in (
        "UPDATE partner_calls SET created_at = created_at - interval '91 days' WHERE order_id = ANY(%(ids)s)",
        "UPDATE cancelled_orders SET at = at - interval '91 days' WHERE order_id = ANY(%(ids)s)",
    ):
        await partners.execute_sql(table, ids=[old.order_id, waiting.order_id])
    while await partners.repository.delete_old_calls(now() - timedelta(days=90)):
        pass
    left = await partners.execute_sql("SELECT order_id FROM partner_calls WHERE kind = 'order'")
    assert {row["order_id"] for row in left} == {waiting.order_id, new.order_id}
    marks = "SELECT 1 FROM cancelled_orders WHERE order_id = %(id)s"
    assert await partners.execute_sql(marks, id=old.order_id) == []


class Deaf:
    """A system that refuses, and counts."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.verdict = Outcome.REJECTED

    async def send(self, partner: Any, call: Any) -> PartnerResponse:
        self.ids.append(call.id)
        return PartnerResponse(self.verdict, str(self.verdict))


async def make(partners: PartnersFixture, system: Deaf) -> None:
    at = now()
    for call in await partners.repository.claim_due_calls(9, 4, at, at + timedelta(seconds=1)):
        await usecases.make_call(partners.repository, system, now, (0, 0), timedelta(seconds=1), call)


async def test_a_replay_has_the_same_id_and_an_effect(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    call = await partners.plan_order_call(await partners.add_partner("http://alive.test", "whsec_AAAA"))
    system = Deaf()
    await make(partners, system)
    assert (await partners.get_call(call.id)).state is CallState.FAILED
    system.verdict = Outcome.ACCEPTED
    await rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=call.id), ADMIN)
    await make(partners, system)
    done = await partners.get_call(call.id)
    assert (done.state, done.attempts, system.ids) == (CallState.DELIVERED, 1, [call.id, call.id])
    assert [type(one) for one in done.tries] == [Attempt, Attempt]
    assert await partners.list_pending_event_types(call.order_id) == ["partners.unreachable", "partners.notified"]


async def test_a_cancelled_order_is_not_sent_again(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    call = await partners.plan_order_call(await partners.add_partner("http://alive.test", "whsec_AAAA"))
    system = Deaf()
    await make(partners, system)
    cancellation = await partners.plan_cancellation_call(call.order_id)
    replay = rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=call.id), ADMIN)
    assert await refused(replay) is Reason.PARTNER_CALL_CONFLICT
    await rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=cancellation), ADMIN)
    unknown = rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=new_id()), ADMIN)
    assert await refused(unknown) is Reason.PARTNER_CALL_NOT_FOUND


async def test_a_picture_tells_of_a_change_once(partners: PartnersFixture, rpc: PartnersRpc) -> None:
    product = await new_product(rpc)
    request = v1.SetProductPictureRequest(product_id=product, picture_url="/api/v1/pictures/x")
    for _ in range(2):
        await rpc.set_product_picture(request, ADMIN)
    assert await partners.list_pending_event_types(f"product:{product}") == CHANGED
    assert (await rpc.get_product(v1.GetProductRequest(product_id=product), ADMIN)).version == 2
