"""Language of the edge's own replies, negotiated as services do (RFC 9110 12.5.4).

CEL has no function in Envoy that returns a part of a text, so weights are compared by regular expressions. Envoy limits
the length of a format to 16 KiB, the size of a pattern, and the depth of an expression to 32.
"""

_FULL_WEIGHT = r"1(\.0{0,3})?"
_POSITIVE_WEIGHT = rf"0\.0{{0,2}}[1-9]\d{{0,2}}|{_FULL_WEIGHT}"
_ANY_WEIGHT = rf"0(\.\d{{0,3}})?|{_FULL_WEIGHT}"
"""Patterns of weights (RFC 9110 12.4.2)."""

_DIGITS_BY_BIT = ("89", "4567", "2367", "13579")
"""Decimal digits with the bit 8, 4, 2 and 1."""

_GERMAN, _ENGLISH, _OTHERS = "de", "en", r"\*"
"""Patterns of the languages of replies, and of the range of all languages that the header does not contain."""


def _match(pattern: str) -> str:
    return f"request.headers['accept-language'].matches(r'(?i){pattern}')"


def _accept(language: str, weights: str) -> str:
    """Return a condition: the header contains the language with one of the weights, or with none, which means 1."""
    return _match(rf"(^|,)\s*{language}(-[a-z0-9-]+)?\s*(;\s*q\s*=\s*({weights})\s*)?(,|\z)")


def _has_decimals(language: str, decimals: str) -> str:
    """Return a condition: the header contains the language with one of the weights below 1."""
    return _match(rf"(^|,)\s*{language}(-[a-z0-9-]+)?\s*;\s*q\s*=\s*0\.{decimals}\s*(,|\z)")


def _has_several_weights(language: str) -> str:
    return _match(rf"(^|,)\s*{language}([-;\s].*)?,\s*{language}([-;,\s]|\z)")


def _compare(preferred: str, other: str) -> str:
    """Return a condition: the highest weight of the first language, which is positive, is higher than the second one's.

    Tenths are compared with each limit, since a language may have several weights. Languages with one weight each are
    also compared by the bits of the other decimals, unless one of them is `*`. The first difference decides.
    """
    limits = [rf"[{tenths}-9]\d{{0,2}}" for tenths in range(9, 0, -1)]
    bits = [rf"\d{{{place}}}[{digits}]\d{{0,{2 - place}}}" for place in (1, 2) for digits in _DIGITS_BY_BIT]
    condition = "false"
    if _OTHERS not in (preferred, other):
        have_several_weights = f"{_has_several_weights(preferred)} || {_has_several_weights(other)}"
        condition = f"{have_several_weights} ? false : {_build_chain(preferred, other, bits, condition)}"
    condition = _build_chain(preferred, other, limits, condition)
    return (
        f"!{_accept(other, _FULL_WEIGHT)} && ({_accept(preferred, _FULL_WEIGHT)} || !{_accept(other, _POSITIVE_WEIGHT)}"
        f" || ({condition}))"
    )


def _build_chain(preferred: str, other: str, decimals: list[str], condition: str) -> str:
    """Return a condition by the first pattern that one of the languages has, and else the given one."""
    for each in reversed(decimals):
        first, second = _has_decimals(preferred, each), _has_decimals(other, each)
        condition = f"{first} != {second} ? {first} : {condition}"
    return condition


_PREFERS_GERMAN = (
    f"{_accept(_GERMAN, _POSITIVE_WEIGHT)}"
    f" ? ({_accept(_ENGLISH, _ANY_WEIGHT)} ? {_compare(_GERMAN, _ENGLISH)} : {_compare(_GERMAN, _OTHERS)})"
    f" : {_accept(_OTHERS, _POSITIVE_WEIGHT)} && {_accept(_ENGLISH, _ANY_WEIGHT)} && !{_accept(_GERMAN, _ANY_WEIGHT)}"
    f" && {_compare(_OTHERS, _ENGLISH)}"
)
"""Condition: German has a higher weight than English. `*` is the weight of a language that the header does not contain.

Few patterns are necessary for most headers; each takes time.
"""

LANGUAGE_FORMAT = f"%CEL('accept-language' in request.headers && ({_PREFERS_GERMAN}) ? 'de' : 'en')%"
"""Language of a reply: German if the client prefers it, and else English."""
