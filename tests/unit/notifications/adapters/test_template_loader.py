"""Templates of notifications and mails: the shipped files, and invalid ones."""

import string
from collections.abc import Iterator
from pathlib import Path

import betterproto2
import pytest

from generated.events import EVENTS
from services.notifications.adapters import template_loader
from services.notifications.adapters.template_loader import load_mail_templates, load_request_templates, load_rules
from services.notifications.domain.notifications import DEFAULT_LOCALE, NotificationTemplate

EVENT_TYPES = {event_type.type: event_type for event_type in EVENTS.values()}
RULES = load_rules()


def find_placeholders(*texts: str) -> set[str]:
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def list_field_names(message: type[betterproto2.Message]) -> Iterator[str]:
    """Yield the names of the fields of a message and of the messages in it."""
    metadata = message()._betterproto
    yield from metadata.sorted_field_names
    for cls in metadata.cls_by_field.values():
        if issubclass(cls, betterproto2.Message):
            yield from list_field_names(cls)


@pytest.mark.parametrize("event_type", RULES)
def test_rule_belongs_to_an_event_of_the_contract(event_type: str) -> None:
    assert event_type in EVENT_TYPES
    rule = RULES[event_type]
    for path in (rule.recipient_path, rule.order_id_path):
        if path and not path.startswith("@"):
            assert {*path.split(".")} <= {*list_field_names(EVENT_TYPES[event_type].message)}


@pytest.mark.parametrize("event_type", RULES)
def test_placeholders_of_a_rule_are_fields_of_its_event(event_type: str) -> None:
    fields = {*list_field_names(EVENT_TYPES[event_type].message)}
    for template in RULES[event_type].templates.values():
        assert find_placeholders(template.title, template.body) <= fields


@pytest.mark.parametrize(
    "by_locale",
    [
        *(rule.templates for rule in RULES.values()),
        *load_request_templates().values(),
    ],
)
def test_every_template_has_the_default_locale(by_locale: dict[str, NotificationTemplate]) -> None:
    assert DEFAULT_LOCALE in by_locale
    assert all(template.title and template.body for template in by_locale.values())


@pytest.mark.parametrize("name", load_mail_templates())
def test_mail_template_has_equal_placeholders_in_all_parts(name: str) -> None:
    templates = load_mail_templates()[name]
    assert DEFAULT_LOCALE in templates
    for template in templates.values():
        assert template.subject
        assert find_placeholders(template.text) == find_placeholders(template.html)
    assert len({frozenset(find_placeholders(template.text)) for template in templates.values()}) == 1


@pytest.fixture
def template_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of template files that replaces the shipped one."""
    monkeypatch.setattr(template_loader, "TEMPLATE_DIR", tmp_path)
    return tmp_path


def test_rule_is_parsed_with_optional_order(template_dir: Path) -> None:
    (template_dir / "notifications.yaml").write_text(
        "x.done:\n  agent_id: a\n  recipient_path: user_id\n  templates:\n    en: {title: T, body: B}\n",
        encoding="utf-8",
    )
    (rule,) = load_rules().values()
    assert (rule.agent_id, rule.recipient_path, rule.order_id_path) == ("a", "user_id", None)
    assert rule.templates == {"en": NotificationTemplate("T", "B")}


def test_missing_default_locale_is_an_error(template_dir: Path) -> None:
    (template_dir / "templates.yaml").write_text("announcement:\n  de: {title: T, body: B}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="announcement has no template for the default locale en"):
        load_request_templates()


@pytest.mark.parametrize("template", ["{title: T}", "{title: T, body: B, footer: F}"])
def test_missing_or_unknown_field_is_an_error(template_dir: Path, template: str) -> None:
    (template_dir / "templates.yaml").write_text(f"announcement:\n  en: {template}\n", encoding="utf-8")
    with pytest.raises(TypeError):
        load_request_templates()


def test_missing_file_is_an_error(template_dir: Path) -> None:
    assert list(template_dir.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        load_mail_templates()
