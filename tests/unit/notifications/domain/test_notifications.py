"""Notifications: providers of device tokens, locales and valid ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.domain.notifications import (
    ID_PATTERN,
    Provider,
    User,
    detect_provider,
    select_localised,
)


@pytest.mark.parametrize(
    ("token", "provider"),
    [
        ("ab" * 31, Provider.FCM),
        ("ab" * 32, Provider.APNS),
        ("AB" * 100, Provider.APNS),
        ("ab" * 101, Provider.FCM),
        ("ab" * 32 + "a", Provider.FCM),
        ("ab" * 32 + "\n", Provider.FCM),
        ("g" + "a" * 63, Provider.FCM),
        ("", Provider.FCM),
    ],
)
def test_hexadecimal_token_of_32_to_100_bytes_is_apns(token: str, provider: Provider) -> None:
    assert detect_provider(token) is provider


@pytest.mark.parametrize(
    ("locale", "selected"),
    [("de-AT", "de-AT"), ("de-CH", "de"), ("DE-ch", "de"), ("de", "de"), ("fr", "en"), (None, "en"), ("", "en")],
)
def test_closest_locale_is_selected(locale: str | None, selected: str) -> None:
    assert select_localised({"en": "en", "de": "de", "de-AT": "de-AT"}, locale) == selected


@given(st.text(max_size=20))
def test_any_locale_selects_a_template(locale: str) -> None:
    assert select_localised({"en": 1, "de": 2}, locale) in (1, 2)


@pytest.mark.parametrize(
    ("text", "is_valid"), [("a", True), ("a" * 64, True), ("a" * 65, False), ("", False), ("a b", False)]
)
def test_notification_id_has_at_most_64_characters(text: str, is_valid: bool) -> None:
    assert (ID_PATTERN.fullmatch(text) is not None) == is_valid


@pytest.mark.parametrize(("email", "is_deleted"), [("a@b.c", False), ("", True)])
def test_tombstone_of_user_is_deleted(email: str, is_deleted: bool) -> None:
    assert User("ada", email, None, None, 1).is_deleted == is_deleted
