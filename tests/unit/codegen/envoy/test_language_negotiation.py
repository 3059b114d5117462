"""Language of the edge's own replies: the same as that of services for any header."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.envoy.language_negotiation import LANGUAGE_FORMAT
from services.runtime.core.localisation import select_language


class Expression:
    """Evaluates the subset of CEL that the expression consists of."""

    def __init__(self, text: str, accept_language: str) -> None:
        self._text = text
        self._position = 0
        self._accept_language = accept_language

    def evaluate(self) -> bool:
        condition = self._evaluate_or()
        if not self._skip("?"):
            return condition
        first = self.evaluate()
        assert self._skip(":")
        second = self.evaluate()
        return first if condition else second

    def _evaluate_or(self) -> bool:
        values = [self._evaluate_and()]
        while self._skip("||"):
            values.append(self._evaluate_and())
        return any(values)

    def _evaluate_and(self) -> bool:
        values = [self._evaluate_relation()]
        while self._skip("&&"):
            values.append(self._evaluate_relation())
        return all(values)

    def _evaluate_relation(self) -> bool:
        value = self._evaluate_operand()
        return value != self._evaluate_operand() if self._skip("!=") else value

    def _evaluate_operand(self) -> bool:
        if self._skip("!"):
            return not self._evaluate_operand()
        if self._skip("("):
            value = self.evaluate()
            assert self._skip(")")
            return value
        for literal in ("'de'", "true"):
            if self._skip(literal):
                return True
        for literal in ("'en'", "false"):
            if self._skip(literal):
                return False
        if self._skip("'accept-language' in request.headers"):
            return True
        assert self._skip("request.headers['accept-language'].matches(r'")
        end = self._text.index("')", self._position)
        pattern = self._text[self._position : end].replace(r"\z", r"\Z")
        self._position = end + 2
        return re.search(pattern, self._accept_language) is not None

    def _skip(self, token: str) -> bool:
        while self._text[self._position : self._position + 1] == " ":
            self._position += 1
        found = self._text.startswith(token, self._position)
        # `!=` is one token.
        found = found and not (token == "!" and self._text.startswith("!=", self._position))
        self._position += len(token) if found else 0
        return found


def choose_language(accept_language: str) -> str:
    """Return the language that Envoy chooses."""
    text = LANGUAGE_FORMAT.removeprefix("%CEL(").removesuffix(")%")
    return "de" if Expression(text, accept_language).evaluate() else "en"


ACCEPT_LANGUAGE = [
    ("", "en"),
    ("fr", "en"),
    ("den", "en"),
    ("en", "en"),
    ("de", "de"),
    ("DE-at", "de"),
    ("de, en", "en"),
    ("en;q=0.5, de;q=0.5", "en"),
    ("de-DE,de;q=0.9,en;q=0.8", "de"),
    ("fr, de;q=0.5, en;q=0.3", "de"),
    ("fr, de;q=0.1", "de"),
    ("fr, de;q=0.001", "de"),
    ("en-US,en;q=0.9,de;q=0.8", "en"),
    ("en-US,en;q=0.8,de;q=0.9", "en"),
    ("en;q=0.5, de;q=0.9", "de"),
    ("en;q=0.3,de-AT;q=0.2,de;q=0.75", "de"),
    ("en ; q = 0.899 , de ; q = 0.9", "de"),
    ("en;q=0.999, de;q=1.000", "de"),
    ("de;q=0.2, en", "en"),
    ("de;q=0.2, en;q=1.0", "en"),
    ("de;q=0, en", "en"),
    ("de;q=0.0", "en"),
    ("de;q=0.000, en;q=0", "en"),
    ("en;q=0, de", "de"),
    ("en;q=0.0, de;q=0.01", "de"),
    ("en;q=9, de;q=0.3", "de"),
    ("de;q=9, en;q=0.3", "en"),
    ("de;q=0.85, en;q=0.8", "de"),
    ("en;q=0.815, de;q=0.816", "de"),
    ("de;q=0.816, en;q=0.82", "en"),
    ("de;q=0.9, de-AT;q=0.85, en;q=0.9", "en"),
    ("*", "en"),
    ("de;q=0.5, *;q=0.8", "en"),
    ("de;q=0.5, *;q=0.47", "de"),
    ("en;q=0.5, *;q=0.8", "de"),
    ("en;q=0, *;q=0.1", "de"),
    ("en;q=0, *;q=0", "en"),
    ("de;q=0, *", "en"),
    ("de;q=0, en;q=0, *", "en"),
    ("en;q=0.8, de;q=0.855, *;q=0.9", "de"),
]


@pytest.mark.parametrize(("accept_language", "language"), ACCEPT_LANGUAGE)
def test_edge_chooses_the_same_language_as_services(accept_language: str, language: str) -> None:
    assert select_language(accept_language) == language
    assert choose_language(accept_language) == language


LANGUAGES = ["de", "de-AT", "en", "en-GB", "fr"]
TENTHS = st.integers(0, 10).map(lambda tenths: tenths * 100)


def format_header(ranges: list[tuple[str, int]]) -> str:
    return ", ".join(f"{language};q={weight / 1000:g}" for language, weight in ranges)


@given(st.lists(st.tuples(st.sampled_from([*LANGUAGES, "*"]), TENTHS), max_size=5))
def test_weights_in_tenths_are_compared_as_in_services(ranges: list[tuple[str, int]]) -> None:
    assert choose_language(format_header(ranges)) == select_language(format_header(ranges))


@given(
    st.lists(
        st.tuples(st.sampled_from(LANGUAGES), st.integers(0, 1000)), max_size=3, unique_by=lambda each: each[0][:2]
    )
)
def test_weights_in_thousandths_are_compared_as_in_services(ranges: list[tuple[str, int]]) -> None:
    assert choose_language(format_header(ranges)) == select_language(format_header(ranges))


def test_format_is_at_most_as_long_as_envoy_accepts() -> None:
    assert len(LANGUAGE_FORMAT) <= 16_384
