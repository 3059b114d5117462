"""Reads what is said for which event; a file that is wrong ends the start."""

from pathlib import Path
from typing import Any

import yaml

from services.notifications.domain.notifications import DEFAULT_LOCALE, Text
from services.notifications.usecases.ports import MailTemplate, Rule

MESSAGES = Path(__file__).with_name("messages")

LETTER = "notification"
"""The mail that a notification becomes where no push reaches the user."""


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((MESSAGES / name).read_text())
    return content


def _texts(of: str, by_locale: dict[str, dict[str, str]]) -> dict[str, Text]:
    if DEFAULT_LOCALE not in by_locale:
        raise ValueError(f"{of} says nothing in {DEFAULT_LOCALE}")
    return {locale: Text(**text) for locale, text in by_locale.items()}


def rules() -> dict[str, Rule]:
    """By event type."""
    return {
        event: Rule(entry["agent"], entry["to"], entry.get("order"), _texts(event, entry["texts"]))
        for event, entry in _read("notifications.yaml").items()
    }


def templates() -> dict[str, dict[str, Text]]:
    """What `notifications.requested` may say, by template and locale."""
    return {name: _texts(name, by_locale) for name, by_locale in _read("templates.yaml").items()}


def mails() -> dict[str, dict[str, MailTemplate]]:
    """By template and locale."""
    return {
        name: {locale: MailTemplate(**mail) for locale, mail in by_locale.items()}
        for name, by_locale in _read("mails.yaml").items()
    }
