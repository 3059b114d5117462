"""Rendering of the templates of notifications and mails."""

import html
from collections.abc import Mapping

from services.notifications.domain.notifications import DEFAULT_LOCALE, Mail, MailTemplate, select_localised


def render_mail(
    templates: Mapping[str, MailTemplate], mail_id: str, to: str, locale: str | None, values: Mapping[str, str]
) -> Mail:
    """Render a mail in the language closest to the locale. Raises KeyError if a value is missing."""
    template = select_localised(templates, locale or DEFAULT_LOCALE)
    escaped_values = {name: html.escape(value) for name, value in values.items()}
    return Mail(
        id=mail_id,
        to=to,
        subject=render(template.subject, values),
        text=render(template.text, values),
        html=render(template.html, escaped_values),
    )


def render(template: str, values: Mapping[str, object]) -> str:
    """Fill in a template. Raises KeyError if a value is missing.

    NUL characters are removed, because neither the databases nor the devices accept them.
    """
    return template.format_map(values).replace("\x00", "")
