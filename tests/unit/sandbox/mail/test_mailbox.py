"""Mailboxes: codes in mails, received messages and pages."""

import asyncio
import time
from email.message import EmailMessage
from typing import Any, cast

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.mail.mailbox import Mailbox, find_code
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase
from tests.unit.sandbox.components import create_client

ADA = "ada@delivery.test"


@pytest.fixture
def mailbox(database: SqliteDatabase, renderer: PageRenderer) -> Mailbox:
    return Mailbox(database, renderer)


@pytest.fixture
def client(mailbox: Mailbox) -> httpx.AsyncClient:
    return create_client(mailbox)


async def list_mails(client: httpx.AsyncClient, address: str = ADA) -> list[dict[str, Any]]:
    mails: list[dict[str, Any]] = (await client.get(f"/mailbox/{address}")).json()
    return mails


async def receive(mailbox: Mailbox, content: bytes | str | None, *recipients: str) -> str:
    """Receive a mail as the SMTP server does, and return the reply."""
    envelope = Envelope()
    envelope.content = content
    envelope.rcpt_tos = list(recipients)
    return await mailbox.handle_DATA(cast(SMTP, None), Session(asyncio.get_running_loop()), envelope)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Welcome.\n\nYour code: Zx9-42_aB7\n", "Zx9-42_aB7"),
        ("Ihr Code:\r\n  4821-ab\r\n", "4821-ab"),
        ("Your code is: 12345678.", "12345678"),
        ("Follow https://x.test/a?mode=verifyEmail&oobCode=Ab-1_9&lang=en\n\nCode: other", "Ab-1_9"),
        ("Here it is:\n\n   8421973\n\nDelivery", "8421973"),
        ("Here it is:\n\nabcdefghijklmnopqrstuvwx\n", "abcdefghijklmnopqrstuvwx"),
        ("The code expires in an hour.\n\nDelivery\n", None),
        ("", None),
    ],
)
def test_code_is_extracted_from_mail(text: str, code: str | None) -> None:
    assert find_code(text) == code


@given(code=st.text("ABCabc0189_-", min_size=4, max_size=128))
def test_any_code_after_its_label_is_found(code: str) -> None:
    assert find_code(f"Hello.\n\nCode: {code}\n\nBye.") == code


@given(st.text())
def test_code_in_any_text_is_absent_or_a_part_of_it(text: str) -> None:
    code = find_code(text)
    assert code is None or code in text


async def test_mails_are_listed_oldest_first_with_code(mailbox: Mailbox, client: httpx.AsyncClient) -> None:
    mailbox.deliver("Ada@Delivery.test", "First", "Code: 123456")
    mailbox.deliver(ADA, "Second", "no secret here")
    mails = await list_mails(client, "ADA@delivery.TEST")
    assert [(mail["subject"], mail.get("code")) for mail in mails] == [("First", "123456"), ("Second", None)]
    assert await list_mails(client, "other@delivery.test") == []


async def test_code_is_found_in_html_if_not_in_text(mailbox: Mailbox, client: httpx.AsyncClient) -> None:
    mailbox.deliver(ADA, "HTML only", "", "<p>Code: <b>AB&#45;1234</b></p>")
    mailbox.deliver(ADA, "Both", "Code: 111111", "<p>Code: 222222</p>")
    assert [mail["code"] for mail in await list_mails(client)] == ["AB-1234", "111111"]


async def test_many_open_brackets_are_read_in_linear_time(mailbox: Mailbox, client: httpx.AsyncClient) -> None:
    mailbox.deliver(ADA, "HTML only", "", "<p>Code: 4821-ab</p>" + "<" * 200_000)
    started_at = time.process_time()
    assert [mail["code"] for mail in await list_mails(client)] == ["4821-ab"]
    assert time.process_time() - started_at < 5


async def test_received_mail_has_both_bodies(mailbox: Mailbox, client: httpx.AsyncClient) -> None:
    message = EmailMessage()
    message["Subject"] = "Grüße"
    message.set_content("Your code: 4821-ab")
    message.add_alternative("<p>Your code</p>", subtype="html")
    assert await receive(mailbox, bytes(message), ADA, "bob@delivery.test") == "250 OK"
    (mail,) = await list_mails(client)
    assert (mail["subject"], mail["text"].strip(), mail["html"].strip(), mail["code"]) == (
        "Grüße",
        "Your code: 4821-ab",
        "<p>Your code</p>",
        "4821-ab",
    )
    assert len(await list_mails(client, "bob@delivery.test")) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (None, ""),
        ("Subject: x\r\n\r\ntext", "text"),
        (b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==", ""),
        (b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe", "\ufffd\ufffd"),
    ],
)
async def test_unusual_mail_is_stored(
    mailbox: Mailbox, client: httpx.AsyncClient, content: bytes | str | None, text: str
) -> None:
    assert await receive(mailbox, content, ADA) == "250 OK"
    (mail,) = await list_mails(client)
    assert mail["text"] == text


async def test_page_shows_mails_newest_first_and_escaped(mailbox: Mailbox, client: httpx.AsyncClient) -> None:
    mailbox.deliver(ADA, "First", "one")
    mailbox.deliver(ADA, "Second <script>", "", "<p>two</p>")
    page = (await client.get("/mailbox", params={"address": ADA})).text
    assert page.index("Second") < page.index("First")
    assert "<script>" not in page
    assert "two" in page
    assert ADA in (await client.get("/mailbox")).text
