"""Conversion of absent values between messages and REST models."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Struct, UnsetType

from services.runtime.rest.types import (
    BinaryResponse,
    Upload,
    build_model,
    collect_set_fields,
    list_null_fields,
    none_to_unset,
    require,
    unset_to_none,
)

VALUES = st.integers() | st.text() | st.booleans()


@given(VALUES)
def test_present_value_is_unchanged(value: object) -> None:
    assert require(value) is value
    assert none_to_unset(value) is value
    assert unset_to_none(value) is value


@given(st.none() | VALUES)
def test_absent_value_is_unchanged_by_round_trip(value: object) -> None:
    assert unset_to_none(none_to_unset(value)) is value


def test_none_and_unset_are_converted() -> None:
    assert none_to_unset(None) is UNSET
    assert unset_to_none(UNSET) is None


def test_missing_required_value_raises_value_error() -> None:
    with pytest.raises(ValueError, match="lacks a required field"):
        require(None)


@pytest.mark.parametrize("value", [0, "", False])
def test_zero_value_is_present(value: object) -> None:
    assert require(value) is value
    assert none_to_unset(value) is value


def test_content_is_not_part_of_representation() -> None:
    assert "secret" not in repr(BinaryResponse("image/png", b"secret"))
    assert "secret" not in repr(Upload("a.png", "image/png", b"secret"))


class Patch(Struct, kw_only=True):
    """A merge patch whose fields can be absent, and null except `title`."""

    title: str | UnsetType = UNSET
    note: str | UnsetType | None = UNSET


@dataclass(frozen=True)
class Source:
    """An object with the fields of `Patch` and another one."""

    title: str
    note: str | None
    version: int = 1


@pytest.mark.parametrize(
    ("patch", "values", "removed"),
    [
        (Patch(), {}, []),
        (Patch(title="a"), {"title": "a"}, []),
        (Patch(note=None), {"note": None}, ["note"]),
        (Patch(title="", note="b"), {"title": "", "note": "b"}, []),
    ],
)
def test_patch_distinguishes_absent_null_and_value(patch: Patch, values: dict[str, object], removed: list[str]) -> None:
    assert collect_set_fields(patch) == values
    assert list_null_fields(patch) == removed


def test_model_is_built_from_attributes_of_the_same_name() -> None:
    assert build_model(Patch, Source("a", "b")) == Patch(title="a", note="b")
    assert build_model(Patch, Source("a", None)) == Patch(title="a")
    assert build_model(Patch, Source("a", "b"), title="c", note=None) == Patch(title="c")
    with pytest.raises(AttributeError):
        build_model(Patch, object(), title="c")
