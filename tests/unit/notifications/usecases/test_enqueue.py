"""Creation and queueing: priority and lifetime of the agent, failures that are recorded, workers that are notified."""

from datetime import timedelta

import pytest

from generated.problems import Reason
from services.notifications.domain.notifications import (
    Contact,
    Device,
    MailTemplate,
    Notification,
    NotificationTemplate,
    Provider,
    Status,
)
from services.notifications.domain.rendering import render, render_mail
from services.notifications.usecases import contacts, enqueue
from services.notifications.usecases.deliver import deliver
from services.notifications.usecases.enqueue import DEFAULT_PRIORITY, DEFAULT_TTL_S, UnknownUserError
from services.runtime.core.errors import ApiError
from tests.unit.notifications.fakes import ADA, AGENT, LEASED_UNTIL, START_TIME, FakeBackend, FakeJobs

TEMPLATES = {"en": NotificationTemplate("Order {id}", "Paid"), "de": NotificationTemplate("Bestellung {id}", "Bezahlt")}
MAILS = {"en": MailTemplate("Your code", "Code: {code}", "<b>{code}</b>")}


async def enqueue_order(
    backend: FakeBackend, templates=TEMPLATES, *, retry_unknown_user: bool = True, **values
) -> None:
    await enqueue.enqueue_notification(
        backend.enqueuer,
        backend.make_source_event(),
        templates,
        "orders",
        "ada",
        "o1",
        values,
        retry_unknown_user=retry_unknown_user,
    )


async def enqueue_code(backend: FakeBackend) -> None:
    source = backend.make_source_event()
    await enqueue.enqueue_mail(backend.enqueuer, source, MAILS, "ada", "a@b.c", None, {"code": "1"})


@pytest.mark.parametrize(("agent", "priority", "ttl_s"), [(AGENT, 5, 3600), (None, DEFAULT_PRIORITY, DEFAULT_TTL_S)])
async def test_job_has_priority_and_lifetime_of_agent(agent, priority: int, ttl_s: int) -> None:
    backend = FakeBackend(agent=agent)
    await enqueue_order(backend, id=7)
    job, _ = backend.jobs["e1"]
    assert (job.priority, job.expires_at) == (priority, START_TIME + timedelta(seconds=ttl_s))
    assert (job.notification.title, job.notification.order_id) == ("Bestellung 7", "o1")
    assert backend.stored_notifications["e1"] == job.notification


async def test_workers_are_notified_once_per_event() -> None:
    backend = FakeBackend()
    for _ in range(2):
        await enqueue_code(backend)
    assert (backend.workers.notified, backend.workers.started) == (1, [])


async def test_free_worker_delivers_leased_job_without_entry_of_queue() -> None:
    backend = FakeBackend()
    backend.workers.free = 1
    await enqueue_code(backend)
    (job,) = backend.workers.started
    assert backend.jobs["e1"] == (job, LEASED_UNTIL)
    assert job.lease == ("e1", LEASED_UNTIL)
    assert (backend.workers.notified, backend.stored_notifications) == (0, {})


async def test_free_worker_delivers_to_the_contact_that_was_read() -> None:
    backend = FakeBackend(Device(Provider.FCM, "phone"))
    backend.workers.free = 1
    await enqueue_order(backend, id=7)
    (job,) = backend.workers.started
    assert job.contact == Contact(ADA, (Device(Provider.FCM, "phone"),))
    assert await deliver(backend.create_context(), job) is None
    assert backend.stored_notifications["e1"].status is Status.SENT
    assert backend.contacts_read == 1


async def test_contact_of_queued_job_is_read_again() -> None:
    backend = FakeBackend(Device(Provider.FCM, "phone"))
    await enqueue_order(backend, id=7)
    await backend.run()
    assert backend.contacts_read == 2


async def test_repeated_event_releases_worker() -> None:
    backend = FakeBackend()
    backend.workers.free = 1
    for _ in range(2):
        await enqueue_code(backend)
    assert len(backend.workers.started) == 1
    assert backend.workers.free == 1


async def test_unavailable_queue_releases_worker() -> None:
    class UnavailableJobs(FakeJobs):
        async def add_new(self, jobs: object) -> set[tuple[str, str]]:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)

    backend = FakeBackend()
    backend.jobs = UnavailableJobs(backend)
    workers = backend.workers
    workers.free = 1
    with pytest.raises(ApiError):
        await enqueue_code(backend)
    assert (workers.free, workers.started) == (1, [])


async def test_job_is_queued_although_history_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    class UnavailableHistory(FakeBackend):
        async def insert_if_absent(self, notification: object) -> None:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)

    backend = UnavailableHistory()
    await enqueue_order(backend, id=7)
    assert list(backend.jobs) == ["e1"]
    assert "history entry of e1 not created or checked" in caplog.text


class DeletionBeforeHistory(FakeBackend):
    """Backend whose user is deleted after a job is added and before its history begins."""

    async def insert_if_absent(self, notification: Notification) -> None:
        await contacts.delete_contact(self, self, notification.user_id, 9)
        await super().insert_if_absent(notification)


async def test_deletion_before_history_begins_leaves_no_notification() -> None:
    backend = DeletionBeforeHistory()
    await enqueue_order(backend, id=7)
    assert (backend.jobs, backend.stored_notifications) == ({}, {})


async def test_history_of_mail_begins_although_user_is_deleted() -> None:
    backend = DeletionBeforeHistory()
    await enqueue_code(backend)
    assert list(backend.jobs) == list(backend.stored_notifications) == ["e1"]


@pytest.mark.parametrize(("templates", "reason"), [(None, "TEMPLATE_UNKNOWN"), (TEMPLATES, "VALUE_MISSING")])
async def test_notification_that_cannot_be_rendered_fails(templates, reason: str) -> None:
    backend = FakeBackend()
    await enqueue_order(backend, templates)
    notification = backend.jobs["e1"][0].notification
    assert (notification.status, notification.reason, notification.title) == (Status.FAILED, reason, "")


async def test_unknown_user_is_retried_or_queued() -> None:
    backend = FakeBackend(user=None)
    with pytest.raises(UnknownUserError):
        await enqueue_order(backend, id=7)
    assert backend.jobs == {}
    await enqueue_order(backend, retry_unknown_user=False, id=7)
    assert backend.jobs["e1"][0].notification.title == "Order 7"


@pytest.mark.parametrize(("templates", "reason"), [(None, "TEMPLATE_UNKNOWN"), (MAILS, "VALUE_MISSING")])
async def test_mail_that_cannot_be_rendered_fails(templates, reason: str) -> None:
    backend = FakeBackend()
    await enqueue.enqueue_mail(backend.enqueuer, backend.make_source_event(), templates, "ada", "a@b.c", None, {})
    job, _ = backend.jobs["e1"]
    assert (job.mail, job.notification.status, job.notification.reason) == (None, Status.FAILED, reason)


def test_mail_values_are_escaped_in_html_only() -> None:
    mail = render_mail(MAILS, "m1", "a@b.c", "fr", {"code": "<script>"})
    assert (mail.id, mail.to, mail.text, mail.html) == ("m1", "a@b.c", "Code: <script>", "<b>&lt;script&gt;</b>")


def test_rendered_text_has_no_nul_characters() -> None:
    assert render("{a}b\x00", {"a": "\x00x"}) == "xb"
