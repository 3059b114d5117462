"""Principal: parsing of the payload header, and required roles."""

import base64
from datetime import UTC, datetime

import pytest

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal, require_role

EXPIRES_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("role", ["customer", "Admin", "", None])
def test_require_role_rejects_other_roles(role: str | None) -> None:
    with pytest.raises(ApiError) as raised:
        require_role(Principal("u1", role, "u@delivery.test", True, EXPIRES_AT), "admin")
    assert raised.value.reason is Reason.FORBIDDEN


def test_require_role_accepts_required_role() -> None:
    require_role(Principal("u1", "admin", "u@delivery.test", True, EXPIRES_AT), "admin")


def test_payload_is_parsed_without_padding() -> None:
    payload = base64.urlsafe_b64encode(b'{"sub": "u1", "exp": 1767225600, "role": "deliverer"}').rstrip(b"=")
    principal = Principal.from_payload(payload, "token")
    assert principal == Principal("u1", "deliverer", "", False, EXPIRES_AT, "token")
    assert "token" not in repr(principal)


@pytest.mark.parametrize("payload", ["", "!", "eyJzdWIiOiAidTEifQ"])
def test_malformed_payload_raises_value_error(payload: str) -> None:
    with pytest.raises(ValueError, match="malformed payload header"):
        Principal.from_payload(payload)
