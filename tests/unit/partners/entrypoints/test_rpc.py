"""gRPC servicer of partners: mapping of messages, secrets, replayed responses and unknown enum values."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.fernet import Fernet

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from services.partners.domain.call_policy import CallState
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.outbound import webhooks
from services.runtime.rpc.codec import get_codec
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import build_principal, raises_reason
from tests.unit.partners.fakes import ADMIN, BOWL, CALL, LEMONADE, PRICE, FakeRepository

SECRET_BOX = SecretBox(Fernet.generate_key().decode())


def build_rpc(repository: FakeRepository) -> PartnersRpc:
    return PartnersRpc(repository, SECRET_BOX, repository.clock)


async def test_created_partner_is_returned_with_secret_once() -> None:
    rpc = build_rpc(FakeRepository())
    request = v1.CreatePartnerRequest(
        title="Green Bowl", api_url="https://bowl.test", enabled=True, idempotency_key="k1"
    )
    first, second = [
        get_codec().decode(v1.CreatePartnerResponse, (await rpc.create_partner(request, ADMIN)).data) for _ in range(2)
    ]
    assert (first.webhook_secret or "").startswith("whsec_")
    assert (first.replayed, second.replayed, second.webhook_secret) == (False, True, None)
    got = await rpc.get_partner(v1.GetPartnerRequest(partner_id=1), ADMIN)
    assert first.partner == second.partner == got.partner


async def test_partner_update_changes_only_given_fields() -> None:
    repository = FakeRepository(BOWL)
    rpc = build_rpc(repository)
    response = await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=1, version=1, phone=""), ADMIN)
    assert repository.partners[1] == replace(BOWL, phone="", version=2)
    assert (response.version, response.partner.title) == (2, "Green Bowl")
    await rpc.disable_partner(v1.DisablePartnerRequest(partner_id=1), ADMIN)
    listed = await rpc.list_partners(v1.ListPartnersRequest(page_size=10), ADMIN)
    assert [(partner.id, partner.enabled) for partner in listed.items] == [(1, False)]


async def test_ready_callback_is_verified_before_report() -> None:
    repository = FakeRepository(replace(BOWL, webhook_secret=SECRET_BOX.encrypt("whsec_AAAA")), calls=[CALL])
    rpc = build_rpc(repository)
    secret = (await rpc.rotate_partner_secret(v1.RotatePartnerSecretRequest(partner_id=1), ADMIN)).webhook_secret
    body = msgspec.json.encode({"order_id": "o1", "pickup_address": "1 Market Square"})
    headers = webhooks.sign_message("w1", datetime.now(UTC), body, secret)
    request = v1.HandleReadyCallbackRequest(
        partner_id=1,
        webhook_id="w1",
        webhook_timestamp=headers["webhook-timestamp"],
        webhook_signature=headers["webhook-signature"],
        body=body,
    )
    with raises_reason(Reason.SIGNATURE_INVALID):
        await rpc.handle_ready_callback(replace(request, partner_id=2))
    with raises_reason(Reason.INVALID_REQUEST):  # before the signature
        await rpc.handle_ready_callback(v1.HandleReadyCallbackRequest(partner_id=2, body=b"{}"))
    assert repository.events == []
    await rpc.handle_ready_callback(request)
    assert [event.pickup_address for event in repository.events] == ["1 Market Square"]


async def test_product_is_managed_by_admin() -> None:
    repository = FakeRepository(BOWL)
    rpc = build_rpc(repository)
    request = v1.CreateProductRequest(title="Lemonade", description="Cold.", picture_url="/x", idempotency_key="k1")
    first, second = [
        get_codec().decode(v1.CreateProductResponse, (await rpc.create_product(request, ADMIN)).data) for _ in range(2)
    ]
    assert (first.product, first.replayed, second.replayed) == (second.product, False, True)
    updated = await rpc.update_product(
        v1.UpdateProductRequest(product_id=1, title="Soda", remove=["picture_url"]), ADMIN
    )
    assert (updated.product.title, updated.product.picture_url, updated.version) == ("Soda", None, 2)
    got = await rpc.get_product(v1.GetProductRequest(product_id=1), ADMIN)
    listed = await rpc.list_products(v1.ListProductsRequest(page_size=10), ADMIN)
    assert listed.items == [got.product] == [updated.product]
    await rpc.delete_product(v1.DeleteProductRequest(product_id=1), ADMIN)
    assert repository.products == {}


@pytest.mark.parametrize("name", ["title", "unknown", "id"])
async def test_update_that_removes_a_required_field_raises(name: str) -> None:
    repository = FakeRepository(products=[LEMONADE])
    with raises_reason(Reason.INVALID_REQUEST):
        await build_rpc(repository).update_product(v1.UpdateProductRequest(product_id=7, remove=[name]), ADMIN)
    assert repository.products == {7: LEMONADE}


async def test_picture_is_set_by_admin_only() -> None:
    repository = FakeRepository(products=[LEMONADE])
    request = v1.SetProductPictureRequest(product_id=7, picture_url="/a")
    for role in ("customer", "deliverer"):
        with raises_reason(Reason.FORBIDDEN):
            await build_rpc(repository).set_product_picture(request, build_principal(role))
    assert repository.products == {7: LEMONADE}


async def test_picture_is_set_and_listed() -> None:
    rpc = build_rpc(FakeRepository(products=[LEMONADE]))
    response = await rpc.set_product_picture(v1.SetProductPictureRequest(product_id=7, picture_url="/a"), ADMIN)
    assert (response.product.picture_url, response.old_picture_url) == ("/a", None)
    listed = await rpc.list_product_pictures(v1.ListProductPicturesRequest(page_size=10))
    assert listed.picture_urls == ["/a"]


async def test_checked_basket_contains_delivery_fee() -> None:
    repository = FakeRepository(replace(BOWL, delivery_fee=250), products=[LEMONADE])
    repository.prices[1, 7] = PRICE
    request = v1.CheckProductsRequest(
        partner_id=1, items=[v1.BasketItem(product_id=7, quantity=1)], total_amount=400, currency="USD", tip_amount=50
    )
    response = await build_rpc(repository).check_products(request)
    assert (response.total_amount, response.delivery_fee) == (400, 250)


async def test_delivery_fee_is_updated_in_a_known_currency() -> None:
    rpc = build_rpc(FakeRepository(BOWL))
    request = v1.UpdatePartnerRequest(partner_id=1, delivery_fee=250, delivery_fee_currency="EUR")
    updated = (await rpc.update_partner(request, ADMIN)).partner
    assert updated is not None
    assert (updated.delivery_fee, updated.delivery_fee_currency) == (250, "EUR")
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=1, delivery_fee_currency="ZZQ"), ADMIN)
    assert [error.field for error in raised.value.errors] == ["delivery_fee_currency"]


async def test_opening_hours_are_set_and_removed() -> None:
    rpc = build_rpc(FakeRepository(BOWL))
    period = v1.OpeningPeriod(day=v1.Weekday.MONDAY, opens="10:00", closes="22:00")
    request = v1.SetOpeningHoursRequest(partner_id=1, time_zone="Europe/Berlin", periods=[period], versions=[1, 7])
    response = await rpc.set_opening_hours(request, ADMIN)
    assert response.partner is not None
    assert response.partner.opening_hours == v1.OpeningHours(time_zone="Europe/Berlin", periods=[period])
    assert response.version == 2
    with raises_reason(Reason.PRECONDITION_FAILED):
        await rpc.set_opening_hours(request, ADMIN)
    await rpc.remove_opening_hours(v1.RemoveOpeningHoursRequest(partner_id=1), ADMIN)
    read = await rpc.get_partner(v1.GetPartnerRequest(partner_id=1), ADMIN)
    assert read.partner is not None
    assert (read.partner.opening_hours, read.version) == (None, 3)


async def test_partner_picture_is_set_listed_and_removed() -> None:
    rpc = build_rpc(FakeRepository(BOWL))
    response = await rpc.set_partner_picture(v1.SetPartnerPictureRequest(partner_id=1, picture_url="/a"), ADMIN)
    assert response.partner is not None
    assert (response.partner.picture_url, response.old_picture_url) == ("/a", None)
    listed = await rpc.list_partner_pictures(v1.ListPartnerPicturesRequest(page_size=10))
    assert listed.picture_urls == ["/a"]
    updated = await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=1, remove=["picture_url"]), ADMIN)
    assert updated.partner is not None
    assert updated.partner.picture_url is None
    with raises_reason(Reason.INVALID_REQUEST):
        await rpc.update_partner(v1.UpdatePartnerRequest(partner_id=1, remove=["title"]), ADMIN)


async def test_price_is_set_checked_and_removed() -> None:
    repository = FakeRepository(BOWL, products=[LEMONADE])
    rpc = build_rpc(repository)
    price = v1.Availability(price=100, currency="USD", active=True)
    request = v1.SetAvailabilityRequest(partner_id=1, product_id=7, price=100, currency="USD", active=True)
    assert (await rpc.set_availability(request, ADMIN)).availability == price
    assert repository.prices == {(1, 7): PRICE}
    basket = v1.CheckProductsRequest(
        partner_id=1, items=[v1.BasketItem(product_id=7, quantity=3)], total_amount=300, currency="USD"
    )
    checked = await rpc.check_products(basket)
    assert checked.partner == v1.PartnerSummary(id=1, title="Green Bowl", brand="Bowls")
    assert checked.items == [v1.PricedItem(product_id=7, title="Lemonade", quantity=3, price=100)]
    offered = await rpc.list_partner_products(v1.ListPartnerProductsRequest(partner_id=1, page_size=10))
    assert [(offer.id, offer.price) for offer in offered.items] == [(7, 100)]
    await rpc.remove_availability(v1.RemoveAvailabilityRequest(partner_id=1, product_id=7), ADMIN)
    assert repository.prices == {}


async def test_catalog_contains_open_partners() -> None:
    rpc = build_rpc(FakeRepository(BOWL, replace(BOWL, id=2, enabled=False)))
    encoded = await rpc.list_catalog(v1.ListCatalogRequest(page_size=10))
    response = get_codec().decode(v1.ListCatalogResponse, encoded.data)
    assert [partner.id for partner in response.items] == [1]


async def test_failed_calls_are_listed_and_replayed() -> None:
    repository = FakeRepository(calls=[replace(CALL, state=CallState.FAILED), replace(CALL, id="c2")])
    rpc = build_rpc(repository)
    request = v1.ListPartnerCallsRequest(page_size=10, status=v1.PartnerCallStatus.FAILED)
    assert [call.id for call in (await rpc.list_partner_calls(request, ADMIN)).items] == ["c1"]
    await rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id="c1"), ADMIN)
    assert repository.calls["c1"].state is CallState.WAITING


@pytest.mark.parametrize("status", [0, 99])
async def test_unknown_call_status_raises(status: int) -> None:
    request = v1.ListPartnerCallsRequest(page_size=10, status=v1.PartnerCallStatus(status))
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await build_rpc(FakeRepository()).list_partner_calls(request, ADMIN)
    assert [error.field for error in raised.value.errors] == ["status"]
