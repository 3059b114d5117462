"""German messages of errors."""

import re

import pytest

from services.runtime.core.german_messages import GERMAN_MESSAGES


@pytest.mark.parametrize("english", GERMAN_MESSAGES)
def test_translation_has_only_values_of_the_message(english: str) -> None:
    german = GERMAN_MESSAGES[english]
    assert set(re.findall(r"\{\d\}", german)) <= set(re.findall(r"\{\d\}", english))
    assert german.endswith(".") == english.endswith(".")
    assert german != english
