"""Texts of errors for users, by language."""

import re
from collections.abc import Mapping
from typing import Any

from generated.problems import PROBLEMS, Reason
from services.runtime.core.money import format_amount

DEFAULT_LANGUAGE = "en"
LANGUAGES = ("en", "de")

_LANGUAGE_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]+)?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")

_ORDER_STATUS_NAMES = {
    "pending": "offen",
    "paid": "bezahlt",
    "ready": "abholbereit",
    "delivering": "unterwegs",
    "delivered": "geliefert",
    "cancelled": "storniert",
    "expired": "abgelaufen",
}

_GERMAN_MESSAGES = {
    '"{0}" is missing': "„{0}“ fehlt",
    '"{0}" is unknown': "„{0}“ ist unbekannt",
    "is missing": "fehlt",
    "is unknown": "ist unbekannt",
    "is invalid": "ist ungültig",
    "is repeated": "ist mehrfach angegeben",
    "is not JSON": "ist kein JSON",
    "has an invalid format": "hat ein ungültiges Format",
    "must be text": "muss Text sein",
    "must be a whole number": "muss eine ganze Zahl sein",
    "must be a number": "muss eine Zahl sein",
    "must be true or false": "muss wahr oder falsch sein",
    "must be a list": "muss eine Liste sein",
    "must be an object": "muss ein Objekt sein",
    "must be empty": "muss leer sein",
    "must be an e-mail address": "muss eine E-Mail-Adresse sein",
    "must be a date such as {0}": "muss ein Datum wie {0} sein",
    "must be a time such as {0}": "muss eine Zeit wie {0} sein",
    "must be a phone number with country code such as {0}": "muss eine Telefonnummer mit Landesvorwahl wie {0} sein",
    "must be a currency code such as {0}": "muss ein Währungscode wie {0} sein",
    "must have {0} or more characters": "muss mindestens {0} Zeichen haben",
    "must have {0} or fewer characters": "darf höchstens {0} Zeichen haben",
    "must have {0} or more entries": "muss {0} oder mehr Einträge haben",
    "must have {0} or fewer entries": "darf {0} oder weniger Einträge haben",
    "must not have duplicate entries": "darf keine doppelten Einträge haben",
    "must be at least {0}": "muss mindestens {0} sein",
    "must be at most {0}": "darf höchstens {0} sein",
    "must be one of {0}": "muss einer dieser Werte sein: {0}",
    "is nested deeper than {0} levels": "ist tiefer als {0} Ebenen verschachtelt",
    "is not a supported date or time": "ist kein unterstütztes Datum und keine unterstützte Zeit",
    "is not available at this partner": "ist bei diesem Partner nicht verfügbar",
    "is sold in {0}": "wird in {0} verkauft",
    "does not match the partner's current prices": "entspricht nicht den aktuellen Preisen des Partners",
    "is not a currency of ISO 4217": "ist keine Währung nach ISO 4217",
    "is not a valid page token": "ist kein gültiges Seitentoken",
    "is not a known status": "ist kein bekannter Status",
    "is a duplicate product": "kommt mehrfach vor",
}
"""German messages by English message, both with placeholders."""


def _compile_template(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\{0\}", "(.+)"), re.DOTALL)


_TEMPLATES = [(_compile_template(english), german) for english, german in _GERMAN_MESSAGES.items()]


def select_language(accept_language: str) -> str:
    """Return the supported language that the header Accept-Language prefers (RFC 9110 12.5.4)."""
    weights: dict[str, float] = {}
    for part in accept_language[:1000].split(","):
        if (match := _LANGUAGE_RANGE.fullmatch(part)) is None:
            continue
        language, weight = match[1].lower(), float(match[2] or 1)
        weights[language] = max(weight, weights.get(language, 0))
    others = weights.get("*", 0.0)
    preferred = max(LANGUAGES, key=lambda language: weights.get(language, others))
    return preferred if weights.get(preferred, others) > 0 else DEFAULT_LANGUAGE


def render_detail(reason: Reason, members: Mapping[str, Any], language: str = DEFAULT_LANGUAGE) -> str:
    """Return the sentence about an error for a user, with the values of its members where the catalogue has them."""
    problem = PROBLEMS[reason]
    template = problem.detail_with_values.get(language)
    values = {name: _format_member(name, members, language) for name in members}
    if template is None or not set(re.findall(r"\{(\w+)\}", template)) <= values.keys():
        return problem.detail.get(language, problem.detail[DEFAULT_LANGUAGE])
    return template.format_map(values)


def _format_member(name: str, members: Mapping[str, Any], language: str) -> str:
    value = members[name]
    if name == "total_amount":
        return format_amount(value, members["currency"], language)
    if name == "max_bytes":
        return f"{value // 2**20} MiB" if value >= 2**20 else f"{value // 2**10} KiB"
    if name == "order_status" and language == "de":
        return _ORDER_STATUS_NAMES.get(str(value), str(value))
    return str(value)


def find_translation(message: str, language: str) -> str | None:
    """Return a message in a language, or None if its translation is unknown."""
    if language == DEFAULT_LANGUAGE:
        return message
    matches = ((pattern.fullmatch(message), german) for pattern, german in _TEMPLATES)
    return next((german.format(*match.groups()) for match, german in matches if match is not None), None)
