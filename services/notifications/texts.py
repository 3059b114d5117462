"""Reads what is said for which event; a file that is wrong ends the start."""

from pathlib import Path
from typing import Any

import yaml

from services.notifications.domain import DEFAULT_LOCALE, Text
from services.notifications.usecases import MailTemplate, Rule

MESSAGES = Path(__file__).with_name("messages")


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((MESSAGES / name).read_text())
    return content


def rules() -> dict[str, Rule]:
    """By event type."""
    made = {}
    for event, entry in _read("notifications.yaml").items():
        texts = {locale: Text(**text) for locale, text in entry["texts"].items()}
        if DEFAULT_LOCALE not in texts:
            raise ValueError(f"{event} says nothing in {DEFAULT_LOCALE}")
        made[event] = Rule(agent=entry["agent"], texts=texts)
    return made


def mails() -> dict[str, dict[str, MailTemplate]]:
    """By template and locale."""
    return {
        name: {locale: MailTemplate(**mail) for locale, mail in by_locale.items()}
        for name, by_locale in _read("mails.yaml").items()
    }
