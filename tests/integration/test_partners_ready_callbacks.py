"""Ready callbacks of partners through the gRPC servicer, with real servers."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from generated.events import EVENTS, ORDER_READY_REPORTED, PartnersEvent
from generated.problems import Reason
from generated.proto.delivery.events.v1 import OrderReadyReported
from generated.proto.delivery.partners import v1
from services.partners.adapters.postgres import ready_callbacks
from services.partners.adapters.postgres.repository import PostgresRepository
from services.partners.domain.partners import Partner
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.messaging.outbox import Outbox
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhook_secrets import generate_secret
from services.runtime.storage.database import Database
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.partners_rpc import ADMIN, get_error_reason

SECRET = generate_secret()
READY_REPORTED = [ORDER_READY_REPORTED.type]


@pytest.fixture
async def partner(partners: PartnersFixture) -> Partner:
    return await partners.add_partner("https://north.example", SECRET)


def build_callback(
    partner_id: int, order_id: str, secret: str = SECRET, webhook_id: str | None = None, **fields: Any
) -> v1.HandleReadyCallbackRequest:
    body = msgspec.json.encode({"order_id": order_id, "pickup_address": "1 Lane"} | fields)
    headers = webhooks.sign_message(webhook_id or generate_id(), now(), body, secret)
    return v1.HandleReadyCallbackRequest(
        partner_id=partner_id,
        webhook_id=headers["webhook-id"],
        webhook_timestamp=headers["webhook-timestamp"],
        webhook_signature=headers["webhook-signature"],
        body=body,
    )


async def test_ready_callback_writes_event_to_outbox(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    call = await partners.plan_order_call(partner)
    await partners_rpc.handle_ready_callback(build_callback(partner.id, call.order_id, more=1))
    [row] = await partners.execute_sql(
        "SELECT type, payload FROM outbox WHERE subject = %(subject)s", subject=call.order_id
    )
    assert row["type"] == ORDER_READY_REPORTED.type
    assert ORDER_READY_REPORTED.decode(bytes(row["payload"])) == OrderReadyReported(
        order_id=call.order_id, partner_id=partner.id, pickup_address="1 Lane"
    )


async def test_repeated_webhook_id_changes_nothing(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    call = await partners.plan_order_call(partner)
    webhook_id = generate_id()
    callbacks = [build_callback(partner.id, call.order_id, webhook_id=webhook_id) for _ in range(4)]
    await asyncio.gather(*map(partners_rpc.handle_ready_callback, callbacks))
    # The fingerprint is that of the report: its encoding may change.
    await partners_rpc.handle_ready_callback(build_callback(partner.id, call.order_id, webhook_id=webhook_id, more=1))
    assert await partners.list_pending_event_types(call.order_id) == READY_REPORTED


async def test_other_report_under_used_webhook_id_is_rejected(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    first, second = await partners.plan_order_call(partner), await partners.plan_order_call(partner)
    webhook_id = generate_id()
    await partners_rpc.handle_ready_callback(build_callback(partner.id, first.order_id, webhook_id=webhook_id))
    for order_id, address in ((second.order_id, "1 Lane"), ("unknown", "1 Lane"), (first.order_id, "2 Lane")):
        callback = build_callback(partner.id, order_id, webhook_id=webhook_id, pickup_address=address)
        assert await get_error_reason(partners_rpc.handle_ready_callback(callback)) is Reason.WEBHOOK_ID_REUSED
    assert await partners.list_pending_event_types(first.order_id) == READY_REPORTED
    assert await partners.list_pending_event_types(second.order_id) == []
    await partners_rpc.handle_ready_callback(build_callback(partner.id, second.order_id))
    assert await partners.list_pending_event_types(second.order_id) == READY_REPORTED


async def test_concurrent_reports_under_one_webhook_id_have_one_effect(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    calls = [await partners.plan_order_call(partner) for _ in range(6)]
    webhook_id = generate_id()
    results = await asyncio.gather(
        *(
            partners_rpc.handle_ready_callback(build_callback(partner.id, call.order_id, webhook_id=webhook_id))
            for call in calls
        ),
        return_exceptions=True,
    )
    assert [result.reason for result in results if isinstance(result, ApiError)] == [Reason.WEBHOOK_ID_REUSED] * 5
    published = [event for call in calls for event in await partners.list_pending_event_types(call.order_id)]
    assert published == READY_REPORTED


async def test_old_ready_callbacks_are_deleted(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    call = await partners.plan_order_call(partner)
    await partners_rpc.handle_ready_callback(build_callback(partner.id, call.order_id))
    count = "SELECT count(*) AS n FROM ready_callbacks WHERE partner_id = %(id)s"
    remaining = []
    for cutoff in (now() - timedelta(days=1), now() + timedelta(days=1)):
        await ready_callbacks.delete_older_than(partners.database, cutoff)
        remaining.append((await partners.execute_sql(count, id=partner.id))[0]["n"])
    assert remaining == [1, 0]


async def test_same_webhook_id_of_two_partners_is_processed_twice(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    other_partner = await partners.add_partner("https://south.example", SECRET)
    webhook_id = generate_id()
    for sender in (partner, other_partner):
        call = await partners.plan_order_call(sender)
        await partners_rpc.handle_ready_callback(build_callback(sender.id, call.order_id, webhook_id=webhook_id))
        assert await partners.list_pending_event_types(call.order_id) == READY_REPORTED


async def test_ready_callback_about_order_of_other_partner_is_not_found(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    call = await partners.plan_order_call(await partners.add_partner("https://south.example", generate_secret()))
    own_call = await partners.plan_order_call(partner)
    webhook_id = generate_id()
    for order_id in (call.order_id, "unknown"):
        callback = build_callback(partner.id, order_id, webhook_id=webhook_id)
        assert await get_error_reason(partners_rpc.handle_ready_callback(callback)) is Reason.ORDER_NOT_FOUND
    assert await partners.list_pending_event_types(call.order_id) == []
    # The rejected callbacks were rolled back, so their webhook id is not processed.
    await partners_rpc.handle_ready_callback(build_callback(partner.id, own_call.order_id, webhook_id=webhook_id))
    assert await partners.list_pending_event_types(own_call.order_id) == READY_REPORTED


async def test_ready_callback_after_cancellation_is_accepted(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    call = await partners.plan_order_call(partner)
    await partners.plan_cancellation_call(call.order_id)
    await partners_rpc.handle_ready_callback(build_callback(partner.id, call.order_id))


async def test_ready_callback_with_invalid_signature_or_body_is_rejected(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    call = await partners.plan_order_call(partner)
    forged = build_callback(partner.id, call.order_id, generate_secret())
    of_unknown_partner = build_callback(999, call.order_id)
    for callback in (forged, of_unknown_partner):
        assert await get_error_reason(partners_rpc.handle_ready_callback(callback)) is Reason.SIGNATURE_INVALID
    invalid = build_callback(partner.id, call.order_id, pickup_address="")
    assert await get_error_reason(partners_rpc.handle_ready_callback(invalid)) is Reason.INVALID_REQUEST
    assert await partners.list_pending_event_types(call.order_id) == []


async def test_ready_callback_without_database_is_unavailable(partners: PartnersFixture) -> None:
    async with Database("postgresql://delivery@127.0.0.1:1/partners") as database:
        repository = PostgresRepository(database, Outbox[PartnersEvent](EVENTS))
        partners_rpc = PartnersRpc(repository, partners.secret_box, now)
        reason = await get_error_reason(partners_rpc.handle_ready_callback(build_callback(1, "o1")))
    assert reason is Reason.UPSTREAM_UNAVAILABLE


async def test_old_secret_verifies_callback_for_one_day(
    partners: PartnersFixture, partners_rpc: PartnersRpc, partner: Partner
) -> None:
    call = await partners.plan_order_call(partner)
    request = v1.RotatePartnerSecretRequest(partner_id=partner.id)
    second = (await partners_rpc.rotate_partner_secret(request, ADMIN)).webhook_secret

    async def is_accepted(secret: str) -> bool:
        try:
            await partners_rpc.handle_ready_callback(build_callback(partner.id, call.order_id, secret))
        except ApiError as error:
            if error.reason is not Reason.SIGNATURE_INVALID:
                raise
            return False
        return True

    assert [await is_accepted(secret) for secret in (SECRET, second)] == [True, True]
    # The overlap is ended in the database, because the clock of the signatures cannot be changed.
    await partners.execute_sql(
        "UPDATE partners SET old_secret_until = old_secret_until - interval '24 hours' WHERE id = %(id)s", id=partner.id
    )
    assert [await is_accepted(secret) for secret in (SECRET, second)] == [False, True]
    third = (await partners_rpc.rotate_partner_secret(request, ADMIN)).webhook_secret
    assert [await is_accepted(secret) for secret in (SECRET, second, third)] == [False, True, True]
