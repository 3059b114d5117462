"""Mail rendering and messages, including header and HTML injection."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.adapters import template_loader
from services.notifications.adapters.providers.smtp import AddressError, build_message
from services.notifications.domain.notifications import Mail
from services.notifications.domain.rendering import render_mail

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
