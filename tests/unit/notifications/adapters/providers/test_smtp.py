"""Mail rendering and messages, including header and HTML injection, and the timeouts of a send."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.adapters import template_loader
from services.notifications.adapters.providers import apns, fcm, smtp
from services.notifications.adapters.providers.smtp import AddressError, SmtpClient, build_message
from services.notifications.domain.notifications import Mail, Outcome
from services.notifications.domain.rendering import render_mail
from services.notifications.entrypoints import delivery_workers
from services.notifications.settings import MIN_LEASE_S
from services.notifications.usecases import enqueue
from services.notifications.usecases.deliver import deliver
from services.runtime.core.clock import now
from tests.unit.notifications.fakes import FakeBackend
from tests.wait import wait_until_async

SENDER = "Delivery <no-reply@delivery.test>"


@pytest.mark.parametrize("template", template_loader.load_mail_templates())
@pytest.mark.parametrize("locale", ["en", "de", "de-AT", "DE", "tlh", None])
def test_every_mail_template_renders_in_requested_language(template: str, locale: str | None) -> None:
    values = {"code": "abc-1", "new_email": "n@b.c", "title": "t", "body": "b"}
    mail = render_mail(template_loader.load_mail_templates()[template], "m", "a@b.c", locale, values)
    assert "{" not in mail.subject + mail.text + mail.html
    is_german = (locale or "").lower().startswith("de")
    words = set(re.findall(r"\w+", mail.text))
    assert bool(words & {"Sie", "Ihr", "Ihre", "Ihres"}) is is_german
    assert not words & {"du", "Du", "dich", "dein", "Dein", "deine", "Deine"}


def test_missing_template_value_raises_key_error() -> None:
    with pytest.raises(KeyError, match="code"):
        render_mail(template_loader.load_mail_templates()["verification"], "m", "a@b.c", None, {})


def test_values_are_escaped_in_html_only() -> None:
    mail = render_mail(template_loader.load_mail_templates()["verification"], "m", "a@b.c", None, {"code": "<b>&"})
    assert "<b>&" in mail.text
    assert "&lt;b&gt;&amp;" in mail.html


@given(subject=st.text(), text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_subject_value_cannot_inject_header(subject: str, text: str) -> None:
    subject = subject.encode("utf-8", "replace").decode()
    message = build_message(Mail("id-1", "a@b.c", f"{subject}\r\nBcc: eve@evil.test", text, "<p></p>"), SENDER)
    assert message["Bcc"] is None
    assert message.keys().count("To") == 1
    assert not any(line.lower().startswith(b"bcc:") for line in message.as_bytes().split(b"\n\n")[0].split(b"\n"))


@pytest.mark.parametrize(
    "address", ["", "a", "a@b.c\r\nBcc: e@v.il", "a@b.c, e@v.il", "a@b.c>, <e@v.il", '"\r\nBcc: e@v.il"@b.c', "a b@c.d"]
)
def test_invalid_address_raises_address_error(address: str) -> None:
    with pytest.raises(AddressError):
        build_message(Mail("id-1", address, "s", "t", "h"), SENDER)


def test_same_mail_id_produces_same_message_id() -> None:
    first, second = (build_message(Mail("id-1", "a@b.c", "s", "t", "h"), SENDER) for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"] == "<id-1@delivery.test>"


MAIL = Mail("id-1", "a@b.c", "s", "t", "<p></p>")
REPLIES = {
    "connection": "220 ready",
    "EHLO": "250 mail.test",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 continue",
    "message": "250 queued",
    "RSET": "250 ok",
    "QUIT": "221 bye",
}


class FakeMailServer:
    """SMTP server that sends each reply after a delay, and no reply to the commands that `replies` lacks."""

    def __init__(self, replies: Mapping[str, str], delay_s: float) -> None:
        self.replies = replies
        self.delay_s = delay_s
        self.connections = self.max_connections = 0
        self.commands: list[str] = []

    async def reply(self, command: str, writer: asyncio.StreamWriter) -> None:
        if command in self.replies:
            await asyncio.sleep(self.delay_s)
            writer.write(f"{self.replies[command]}\r\n".encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.max_connections = max(self.max_connections, self.connections)
        command = "connection"
        try:
            while command:
                self.commands.append(command)
                await self.reply(command, writer)
                if command == "DATA" and self.replies[command].startswith("354"):
                    await reader.readuntil(b"\r\n.\r\n")
                    command = "message"
                else:
                    command = (await reader.readline()).decode()[:4]
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.connections -= 1
            writer.close()


@asynccontextmanager
async def running_mail_server(
    replies: Mapping[str, str] = REPLIES, delay_s: float = 0.0
) -> AsyncIterator[tuple[FakeMailServer, SmtpClient]]:
    fake = FakeMailServer(replies, delay_s)
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield fake, SmtpClient(f"smtp://127.0.0.1:{port}", SENDER)
        await wait_until_async(lambda: fake.connections == 0)


@pytest.mark.parametrize(
    ("changes", "outcome", "code"),
    [
        ({}, Outcome.ACCEPTED, "accepted"),
        ({"QUIT": "421 busy"}, Outcome.ACCEPTED, "accepted"),
        ({"RCPT": "550 unknown"}, Outcome.REJECTED, "SMTP_550"),
        ({"MAIL": "451 busy"}, Outcome.BUSY, "SMTP_451"),
        ({"DATA": "554 no"}, Outcome.REJECTED, "SMTP_554"),
        ({"message": "452 full"}, Outcome.BUSY, "SMTP_452"),
        ({"connection": "421 busy"}, Outcome.BUSY, "UNREACHABLE"),
    ],
)
async def test_smtp_reply_is_classified(changes: dict[str, str], outcome: Outcome, code: str) -> None:
    async with running_mail_server(REPLIES | changes) as (server, client):
        response = await client.send(MAIL)
    assert (response.outcome, response.code) == (outcome, code)
    assert (server.commands[-1] == "QUIT") is (code != "UNREACHABLE")


@pytest.mark.parametrize("last", ["connection", "EHLO", "RCPT", "message"])
async def test_slow_mail_server_is_unclear_after_total_timeout(last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "TOTAL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(smtp, "QUIT_TIMEOUT_S", 0.05)
    replies = {name: reply for name, reply in REPLIES.items() if name not in (last, "QUIT")}
    async with running_mail_server(replies) as (_, client), asyncio.timeout(1):
        response = await client.send(MAIL)
    assert (response.outcome, response.code) == (Outcome.UNCLEAR, "TIMEOUT")


async def test_mail_is_accepted_without_reply_to_quit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "QUIT_TIMEOUT_S", 0.05)
    replies = {name: reply for name, reply in REPLIES.items() if name != "QUIT"}
    async with running_mail_server(replies) as (_, client), asyncio.timeout(1):
        response = await client.send(MAIL)
    assert response.outcome is Outcome.ACCEPTED


def test_minimum_lease_exceeds_total_timeouts_of_all_providers() -> None:
    smtp_timeout_s = smtp.TOTAL_TIMEOUT_S + smtp.QUIT_TIMEOUT_S
    assert fcm.TOTAL_TIMEOUT_S + apns.TOTAL_TIMEOUT_S + smtp_timeout_s + 5 < MIN_LEASE_S


async def test_slow_mail_server_receives_one_mail_per_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A send that outlives its lease would be repeated by another worker meanwhile."""
    monkeypatch.setattr(smtp, "TOTAL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(smtp, "QUIT_TIMEOUT_S", 0.05)
    monkeypatch.setattr(delivery_workers, "POLL_INTERVAL_S", 0.02)
    backend, clock, lease = FakeBackend(), now, timedelta(seconds=0.5)
    backend.now = clock()
    async with running_mail_server(delay_s=0.15) as (server, client):
        backend.mail_client = client  # type: ignore[assignment]
        templates = template_loader.load_mail_templates()["account_deleted"]
        await enqueue.enqueue_mail(backend.enqueuer, backend.make_source_event(), templates, "ada", "a@b.c", None, {})
        run = partial(deliver, replace(backend.create_context(), clock=clock))
        pool = delivery_workers.create_delivery_workers(
            backend.jobs, run, clock, min_priority=1, workers=4, lease=lease
        )
        task = asyncio.create_task(pool.run())
        await wait_until_async(lambda: "e1" not in backend.jobs or backend.jobs["e1"][0].rounds == 1)
        task.cancel()
        await asyncio.wait([task])
    assert server.max_connections == 1
