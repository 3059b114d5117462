"""Texts of errors for users, by language."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from babel.dates import format_datetime

from generated.messages import FORMATS, MESSAGES, NAMES
from generated.problems import PROBLEMS, Reason
from services.runtime.core.german_messages import GERMAN_MESSAGES
from services.runtime.core.money import format_amount
from services.runtime.core.time_zones import resolve_time_zone

DEFAULT_LANGUAGE = "en"
LANGUAGES = ("en", "de")

_LANGUAGE_RANGE = re.compile(
    r"\s*([a-z]{1,8}|\*)(?:-[a-z0-9-]+)?\s*(?:;\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.ASCII | re.IGNORECASE,
)

_LOCAL_TIME_PATTERNS = {"en": "EEEE, d MMMM, 'at' HH:mm", "de": "EEEE, d. MMMM, 'um' HH:mm 'Uhr'"}


def _compile_template(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\d\\\}", "(.+?)", re.escape(template)), re.DOTALL)


_MESSAGES = {**GERMAN_MESSAGES, **MESSAGES.get("de", {})}
_TEMPLATES = [(_compile_template(english), german) for english, german in _MESSAGES.items()]


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
    if FORMATS.get(name) == "amount":
        return format_amount(value, members["currency"], language)
    if FORMATS.get(name) == "local_time":
        return _format_local_time(value, members["time_zone"], language)
    if name == "max_bytes":
        return f"{value // 2**20} MiB" if value >= 2**20 else f"{value // 2**10} KiB"
    return NAMES.get(language, {}).get(name, {}).get(str(value), str(value))


def _format_local_time(timestamp: str, time_zone: str, language: str) -> str:
    moment = datetime.fromisoformat(timestamp)
    local_time = format_datetime(moment, _LOCAL_TIME_PATTERNS[language], resolve_time_zone(time_zone), language)
    return f"{local_time} ({time_zone})"


def find_translation(message: str, language: str) -> str | None:
    """Return a message in a language, or None if its translation is unknown."""
    if language == DEFAULT_LANGUAGE:
        return message
    matches = ((pattern.fullmatch(message), german) for pattern, german in _TEMPLATES)
    return next((german.format(*match.groups()) for match, german in matches if match is not None), None)
