"""German messages of errors."""

import re

import pytest

from generated.messages import MESSAGES
from services.runtime.core.german_messages import GERMAN_MESSAGES

MESSAGES_OF_SERVICES = MESSAGES["de"]


@pytest.mark.parametrize("english", [*GERMAN_MESSAGES, *MESSAGES_OF_SERVICES])
def test_translation_has_only_values_of_the_message(english: str) -> None:
    german = {**GERMAN_MESSAGES, **MESSAGES_OF_SERVICES}[english]
    assert set(re.findall(r"\{\d\}", german)) <= set(re.findall(r"\{\d\}", english))
    assert german.endswith(".") == english.endswith(".")
    assert german != english


def test_message_of_the_runtime_is_not_translated_again() -> None:
    assert GERMAN_MESSAGES.keys().isdisjoint(MESSAGES_OF_SERVICES)
