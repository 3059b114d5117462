"""Consistency of the whitelist of keys."""

from codegen.openapi.keys import (
    ANY,
    COMPONENT_SECTIONS,
    EXTENSIONS,
    KINDS,
    REMEDIES,
    REQUIRED_KEYS,
    TYPE_NAMES,
    ListOf,
    MapOf,
)


def test_every_value_has_a_kind_that_is_defined() -> None:
    values = [value for keys in KINDS.values() for value in keys.values()]
    kinds = {value.kind if isinstance(value, ListOf | MapOf) else value for value in values}
    assert kinds <= KINDS.keys() | TYPE_NAMES.keys() | {ANY}
    assert COMPONENT_SECTIONS.keys() <= KINDS.keys()


def test_required_keys_are_handled() -> None:
    for kind, keys in REQUIRED_KEYS.items():
        assert {*keys} <= KINDS[kind].keys()


def test_remedies_exist_for_keys_that_are_not_handled_only() -> None:
    assert [(kind, key) for kind, key in REMEDIES if key in KINDS[kind]] == []


def test_extensions_have_the_prefix_of_openapi() -> None:
    assert [name for name in EXTENSIONS if not name.startswith("x-")] == []
