"""Mails: what they hold, and that nothing in them becomes a header, or mark-up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications import texts, usecases
from services.notifications.providers.smtp import compose
from services.notifications.usecases import Mail, Undeliverable

SENDER = "Delivery <no-reply@delivery.test>"


class Post:
    """Keeps the one mail it gets."""

    async def send(self, mail: Mail) -> None:
        self.mail = mail


@pytest.mark.parametrize("template", ["verification", "email_change", "password_reset", "account_deleted"])
@pytest.mark.parametrize("locale", ["en", "de", "de-AT", "DE", "tlh", None])
async def test_every_mail_can_be_written_in_every_language(template: str, locale: str | None) -> None:
    post = Post()
    await usecases.send_mail(post, texts.mails()[template], "m", "a@b.c", locale, {"code": "abc-1"})
    assert "{" not in post.mail.subject + post.mail.text + post.mail.html
    german = (locale or "").lower().startswith("de")
    assert (post.mail.subject == texts.mails()[template]["de"].subject) is german


async def test_a_value_that_is_missing_is_said_and_not_retried() -> None:
    with pytest.raises(Undeliverable, match="code"):
        await usecases.send_mail(Post(), texts.mails()["verification"], "m", "a@b.c", None, {})


@given(subject=st.text(), text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_value_becomes_a_header(subject: str, text: str) -> None:
    subject = subject.encode("utf-8", "replace").decode()
    message = compose(Mail("id-1", "a@b.c", f"{subject}\r\nBcc: eve@evil.test", text, "<p></p>"), SENDER)
    assert message["Bcc"] is None
    assert message.keys().count("To") == 1
    assert not any(line.lower().startswith(b"bcc:") for line in message.as_bytes().split(b"\n\n")[0].split(b"\n"))


@pytest.mark.parametrize(
    "address", ["", "a", "a@b.c\r\nBcc: e@v.il", "a@b.c, e@v.il", "a@b.c>, <e@v.il", '"\r\nBcc: e@v.il"@b.c', "a b@c.d"]
)
def test_what_is_not_one_address_gets_no_mail(address: str) -> None:
    with pytest.raises(Undeliverable):
        compose(Mail("id-1", address, "s", "t", "h"), SENDER)


def test_a_repeat_is_known_by_its_message_id() -> None:
    first, second = (compose(Mail("id-1", "a@b.c", "s", "t", "h"), SENDER) for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"] == "<id-1@delivery.test>"
