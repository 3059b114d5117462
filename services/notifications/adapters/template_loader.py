"""Reads what is said for which event; a file that is wrong ends the start."""

from pathlib import Path
from typing import Any

import yaml

from services.notifications.domain.notifications import DEFAULT_LOCALE, NotificationTemplate
from services.notifications.usecases.ports import MailTemplate, NotificationRule

TEMPLATE_DIR = Path(__file__).with_name("templates")

FALLBACK_MAIL_TEMPLATE = "notification"
"""The mail that a notification becomes where no push reaches the user."""


def _load_yaml(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((TEMPLATE_DIR / name).read_text())
    return content


def _parse_templates(name: str, by_locale: dict[str, dict[str, str]]) -> dict[str, NotificationTemplate]:
    if DEFAULT_LOCALE not in by_locale:
        raise ValueError(f"{name} says nothing in {DEFAULT_LOCALE}")
    return {locale: NotificationTemplate(**text) for locale, text in by_locale.items()}


def load_rules() -> dict[str, NotificationRule]:
    """By event type."""
    return {
        event: NotificationRule(
            entry["agent"], entry["to"], entry.get("order"), _parse_templates(event, entry["texts"])
        )
        for event, entry in _load_yaml("notifications.yaml").items()
    }


def load_request_templates() -> dict[str, dict[str, NotificationTemplate]]:
    """What `notifications.requested` may say, by template and locale."""
    return {name: _parse_templates(name, by_locale) for name, by_locale in _load_yaml("templates.yaml").items()}


def load_mail_templates() -> dict[str, dict[str, MailTemplate]]:
    """By template and locale."""
    return {
        name: {locale: MailTemplate(**mail) for locale, mail in by_locale.items()}
        for name, by_locale in _load_yaml("mails.yaml").items()
    }
