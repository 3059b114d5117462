"""Event consumers of notifications: recipients, rules, retries for unknown users, and contact data."""

from dataclasses import replace

import pytest

from generated.events.consumers import NotificationsRequestedConsumer
from generated.proto.delivery.events import v1
from services.notifications.adapters import template_loader
from services.notifications.domain.notifications import Status, User
from services.notifications.entrypoints import consumers
from services.notifications.entrypoints.consumers import (
    MAX_UNKNOWN_USER_ATTEMPTS,
    AlertsConsumer,
    MailConsumer,
    OrdersConsumer,
    RequestsConsumer,
    UrgentRequestsConsumer,
    UsersConsumer,
)
from services.notifications.usecases.enqueue import FALLBACK_MAIL_TEMPLATE, UnknownUserError
from services.runtime.messaging.events import MalformedEvent, MessageMetadata
from tests.unit.notifications.fakes import ADA, START_TIME, FakeBackend

SNAPSHOT = v1.OrderSnapshot(order_id="o1", customer_id="ada", partner_title="Green Bowl")
PAID = v1.OrderPaid(order=SNAPSHOT, payment_id="p1")


def build_delivery(event_type: str, attempt: int = 1, event_id: str = "e1") -> MessageMetadata:
    return MessageMetadata("q", event_id, event_type, "subject", START_TIME, attempt)


def build_orders_consumer(backend: FakeBackend) -> OrdersConsumer:
    return OrdersConsumer(backend.enqueuer, template_loader.load_rules())


async def test_order_event_notifies_customer() -> None:
    backend = FakeBackend()
    await build_orders_consumer(backend).on_order_paid(PAID, build_delivery("orders.paid"))
    notification = backend.jobs["e1"][0].notification
    assert (notification.user_id, notification.order_id, notification.event) == ("ada", "o1", "orders.paid")
    assert notification.status is Status.QUEUED


@pytest.mark.parametrize("order", [None, replace(SNAPSHOT, customer_id="")])
async def test_order_event_without_recipient_is_malformed(order: v1.OrderSnapshot | None) -> None:
    with pytest.raises(MalformedEvent):
        await build_orders_consumer(FakeBackend()).on_order_paid(
            v1.OrderPaid(order=order), build_delivery("orders.paid")
        )


@pytest.mark.parametrize("event_id", ["", "a b", "x" * 65])
async def test_invalid_event_id_is_malformed(event_id: str) -> None:
    with pytest.raises(MalformedEvent):
        await build_orders_consumer(FakeBackend()).on_order_paid(PAID, build_delivery("orders.paid", event_id=event_id))


async def test_unknown_user_is_retried_for_limited_attempts() -> None:
    backend = FakeBackend(user=None)
    consumer = build_orders_consumer(backend)
    for attempt in range(1, MAX_UNKNOWN_USER_ATTEMPTS + 1):
        with pytest.raises(UnknownUserError):
            await consumer.on_order_paid(PAID, build_delivery("orders.paid", attempt))
    await consumer.on_order_paid(PAID, build_delivery("orders.paid", MAX_UNKNOWN_USER_ATTEMPTS + 1))
    assert list(backend.jobs) == ["e1"]


async def test_refund_without_customer_queues_nothing() -> None:
    backend = FakeBackend()
    await build_orders_consumer(backend).on_refunded(v1.Refunded(refund_id="r1"), build_delivery("refunds.completed"))
    assert backend.jobs == {}


async def test_alert_is_logged_and_sent_to_operators(caplog: pytest.LogCaptureFixture) -> None:
    backend = FakeBackend(user=None)
    event_type = next(name for name, rule in template_loader.load_rules().items() if rule.recipient_path[0] == "@")
    consumer = AlertsConsumer(backend.enqueuer, template_loader.load_rules())
    alert = v1.SystemAlert(subject="order:o1", reason="STUCK", detail="It waits.", at=START_TIME)
    await consumer.on_system_alert(alert, build_delivery(event_type))
    assert backend.jobs["e1"][0].notification.user_id == "operators"
    assert "system alert STUCK on order:o1" in caplog.text


async def test_urgent_copy_of_request_is_processed_once() -> None:
    backend = FakeBackend()
    templates = template_loader.load_request_templates()
    event = v1.NotificationRequested(user_id="ada", agent_id="orders", template="unknown")
    for consumer_type in (UrgentRequestsConsumer, RequestsConsumer):
        await consumer_type(backend.enqueuer, templates).on_notification_requested(event, build_delivery("n.requested"))
    assert backend.processed_events == {(NotificationsRequestedConsumer.QUEUE, "e1")}
    assert backend.jobs["e1"][0].notification.reason == "TEMPLATE_UNKNOWN"


async def test_contact_data_is_stored_and_deleted() -> None:
    backend = FakeBackend(user=None)
    consumer = UsersConsumer(backend, backend)
    delivery = build_delivery("users.registered")
    await consumer.on_user_registered(v1.UserRegistered(user_id="ada", email="a@b.c", version=1), delivery)
    assert backend.only_user == User("ada", "a@b.c", None, None, 1)
    await consumer.on_user_updated(v1.UserUpdated(user_id="ada", email="d@e.f", locale="de", version=2), delivery)
    assert backend.only_user == User("ada", "d@e.f", "de", None, 2)
    await consumer.on_user_deleted(v1.UserDeleted(user_id="ada", version=3), delivery)
    assert backend.only_user == User("ada", "", None, None, 3)


@pytest.mark.parametrize("template", ["unknown", FALLBACK_MAIL_TEMPLATE])
async def test_request_for_unknown_or_fallback_mail_fails(template: str) -> None:
    backend = FakeBackend(user=ADA)
    consumer = MailConsumer(backend.enqueuer, template_loader.load_mail_templates())
    event = v1.EmailRequested(user_id="ada", email="a@b.c", template=template, values={"title": "T", "body": "B"})
    await consumer.on_email_requested(event, build_delivery("emails.requested"))
    assert backend.jobs["e1"][0].notification.reason == "TEMPLATE_UNKNOWN"


@pytest.mark.parametrize("path", ["order", "order.missing", "missing.customer_id", "order.version"])
def test_path_without_text_is_malformed(path: str) -> None:
    with pytest.raises(MalformedEvent):
        consumers.get_value_at_path(PAID, path)


def test_template_values_contain_fields_of_messages() -> None:
    values = consumers.collect_template_values(PAID)
    assert (values["payment_id"], values["partner_title"]) == ("p1", "Green Bowl")
