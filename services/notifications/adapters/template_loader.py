"""Loader of the notification and mail templates in `templates/`; an invalid file aborts the start of the service."""

from pathlib import Path
from typing import Any

import yaml

from services.notifications.domain.notifications import (
    DEFAULT_LOCALE,
    MailTemplate,
    NotificationRule,
    NotificationTemplate,
)

TEMPLATE_DIR = Path(__file__).with_name("templates")


def _load_yaml(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((TEMPLATE_DIR / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return content


def _parse_templates(name: str, by_locale: dict[str, dict[str, str]]) -> dict[str, NotificationTemplate]:
    if DEFAULT_LOCALE not in by_locale:
        raise ValueError(f"{name} has no template for the default locale {DEFAULT_LOCALE}")
    return {locale: NotificationTemplate(**template) for locale, template in by_locale.items()}


def load_rules() -> dict[str, NotificationRule]:
    """Return the notification rules by event type."""
    return {
        event_type: NotificationRule(
            agent_id=rule["agent_id"],
            recipient_path=rule["recipient_path"],
            order_id_path=rule.get("order_id_path"),
            templates=_parse_templates(event_type, rule["templates"]),
        )
        for event_type, rule in _load_yaml("notifications.yaml").items()
    }


def load_request_templates() -> dict[str, dict[str, NotificationTemplate]]:
    """Return the templates available to `notifications.requested`, by name and locale."""
    return {name: _parse_templates(name, by_locale) for name, by_locale in _load_yaml("templates.yaml").items()}


def load_mail_templates() -> dict[str, dict[str, MailTemplate]]:
    """Return the mail templates by name and locale."""
    return {
        name: {locale: MailTemplate(**template) for locale, template in by_locale.items()}
        for name, by_locale in _load_yaml("mails.yaml").items()
    }
