"""Jobs of each service that cannot be decoded: limited attempts, and the stored failure."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from generated.events import EVENTS, NotificationsEvent
from services.gateway.domain.accounts import MAX_CODE_REQUEST_ATTEMPTS, CodePurpose
from services.gateway.usecases import verification_codes
from services.notifications.adapters.postgres.repository import PostgresRepository
from services.notifications.domain.agents import MIN_URGENT_PRIORITY
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import HistoryFilter, Mail, Notification, Status
from services.notifications.usecases.delivery_jobs import DeliveryJobs
from services.orders.domain.orders import RefundStatus
from services.partners.domain.call_policy import CallState
from services.runtime.core.clock import now
from services.runtime.core.ids import generate_id
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import migrations
from services.runtime.storage.encryption import SecretBox
from tests.integration.fixtures.gateway import Gateway
from tests.integration.fixtures.notifications import NotificationsHarness
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.partners import MAX_CALL_ATTEMPTS, PartnersFixture
from tests.integration.fixtures.servers import Servers

LEASE = timedelta(minutes=1)


@pytest.fixture
async def notifications(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as harness:
        yield harness


async def test_undecodable_partner_call_fails_after_last_attempt(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://127.0.0.1:1", "unused")
    undecodable, other = await partners.plan_order_call(partner), await partners.plan_order_call(partner)
    await partners.execute_sql("UPDATE partner_calls SET tries = '[{}]' WHERE id = %(id)s", id=undecodable.id)
    at, states = now(), []
    for _ in range(MAX_CALL_ATTEMPTS + 1):
        claimed = await partners.due_calls.claim_due_calls(10, 10, at, at + LEASE)
        assert [call.id for call in claimed] == [other.id]
        states.append((await partners.get_call_states(undecodable.order_id))["order"])
        at += LEASE
    assert states == [CallState.WAITING] * (MAX_CALL_ATTEMPTS - 1) + [CallState.FAILED] * 2


async def test_undecodable_refund_fails_while_its_lease_is_held(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id, 300)
    at = now()
    [refund] = [each for each in await orders.refund_queue.claim_due(1000, at, at + LEASE) if each.order_id == order_id]
    statuses = []
    for attempts in (refund.attempts - 1, refund.attempts):
        await orders.refund_queue.fail_undecodable({"id": refund.id, "attempts": attempts})
        [row] = await orders.execute_sql("SELECT status FROM refunds WHERE id = %(id)s", id=refund.id)
        statuses.append(row["status"])
    assert statuses == [RefundStatus.REQUESTED, RefundStatus.FAILED]


async def test_undecodable_notification_fails_when_it_expires(notifications: NotificationsHarness) -> None:
    at, job_id, user_id = now(), generate_id(), generate_id()
    notification = Notification(job_id, user_id, "emails.requested", None, "mails", "", "", Status.QUEUED, at)
    mail = Mail(job_id, "ada@delivery.test", "Code", "1234", "1234")
    former_secret_box = SecretBox(Fernet.generate_key().decode())  # of a key that is no longer configured
    former_repository = PostgresRepository(
        notifications.database, Outbox[NotificationsEvent](EVENTS), former_secret_box, notifications.agents
    )
    job = DeliveryJob(notification, MIN_URGENT_PRIORITY, at + 2 * LEASE, mail)
    await notifications.history.upsert(notification)
    await DeliveryJobs(former_repository).add("test", job_id, job)
    statuses = []
    for _ in range(3):
        await notifications.queue.claim(1, 1000, at, at + LEASE)
        [stored] = await notifications.history.find(HistoryFilter(user_id=user_id), 1, None, include_mails=True)
        statuses.append(stored.status)
        at += LEASE
    assert statuses == [Status.QUEUED, Status.QUEUED, Status.FAILED]
    async with notifications.database.connection() as connection:
        cursor = await connection.connection.execute("SELECT 1 FROM delivery_jobs WHERE id = %s", (job_id,))
        assert await cursor.fetchall() == []
        cursor = await connection.connection.execute("SELECT type FROM outbox WHERE subject = %s", (job_id,))
        assert [row["type"] for row in await cursor.fetchall()] == ["notifications.failed"]


async def test_undecodable_code_request_is_deleted_after_last_attempt(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    for purpose in ("unknown", CodePurpose.PASSWORD_RESET):
        await gateway.add_code_request(email, purpose)
    await verification_codes.send_requested_codes(gateway.repository, now)
    assert [mail.template for mail in await gateway.list_mails(principal.user_id)] == ["verification", "password_reset"]
    at, attempts = now(), []
    while rows := await gateway.list_code_requests(email):
        attempts.append(rows[0]["attempts"])
        at += LEASE
        await gateway.repository.code_requests.claim(1000, at, at + LEASE)
    assert attempts == list(range(1, MAX_CODE_REQUEST_ATTEMPTS))
