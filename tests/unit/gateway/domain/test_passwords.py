"""Rule of new passwords."""

import pytest

from generated.problems import Reason
from services.gateway.domain.passwords import COMMON_PASSWORDS, validate_password
from tests.unit.fake_transactions import raises_reason


@pytest.mark.parametrize("password", ["password", "PassWord1", "12345678", "qwertyuiop"])
def test_common_password_in_any_case_is_rejected(password: str) -> None:
    with raises_reason(Reason.PASSWORD_COMMON):
        validate_password(password)


@pytest.mark.parametrize("password", ["delivery-demo-1", "correct horse battery", "password of a poet", "\u00fc" * 8])
def test_other_password_is_accepted(password: str) -> None:
    validate_password(password)


def test_list_contains_3000_passwords_of_the_minimum_length() -> None:
    assert len(COMMON_PASSWORDS) >= 3000
