"""Conversion of absent values between messages and REST models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from services.runtime.rest.types import BinaryResponse, Upload, none_to_unset, require, unset_to_none

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
