"""Principal: parsing of the payload header, and required roles."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

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


def encode_claims(claims: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(claims).encode())


def test_times_of_token_and_sign_in_are_parsed() -> None:
    payload = encode_claims({"sub": "u1", "exp": 1767225600, "iat": 1767222000, "auth_time": 1767139200})
    principal = Principal.from_payload(payload)
    assert principal.issued_at == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert principal.authenticated_at == datetime(2025, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "u" * 129},
        {"sub": "u\x00"},
        {"exp": None},
        {"exp": 1767225600.5},
        {"exp": 2**53},
        {"exp": 2**70},
        {"exp": 1e300},
        {"exp": -1},
        {"exp": "1767225600"},
        {"iat": -1.5},
        {"iat": 2**63},
        {"auth_time": "yesterday"},
        {"role": ["admin"]},
        {"role": 1},
        {"email": 7},
        {"email": "e" * 321},
        {"email_verified": "true"},
    ],
)
def test_claims_of_other_types_or_ranges_are_unauthenticated(claims: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as raised:
        Principal.from_payload(encode_claims({"sub": "u1", "exp": 1767225600} | claims))
    assert raised.value.reason is Reason.UNAUTHENTICATED


def test_claims_without_subject_or_expiry_are_unauthenticated() -> None:
    for claims in ({"exp": 1767225600}, {"sub": "u1"}):
        with pytest.raises(ApiError) as raised:
            Principal.from_payload(encode_claims(claims))
        assert raised.value.reason is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("claims", [{"name": "\ud800"}, {"sub": "u\udc00"}, {"email": "\ud800x@delivery.test"}])
def test_claims_with_unpaired_surrogates_are_unauthenticated(claims: dict[str, str]) -> None:
    with pytest.raises(ApiError) as raised:
        Principal.from_payload(encode_claims({"sub": "u1", "exp": 1767225600} | claims))
    assert raised.value.reason is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("payload", ["", "!", "eyJzdWIiOg"])
def test_malformed_payload_raises_value_error(payload: str) -> None:
    with pytest.raises(ValueError, match="malformed payload header"):
        Principal.from_payload(payload)


def test_equal_claims_with_different_tokens_have_their_own_token() -> None:
    payload = encode_claims({"sub": "u1", "exp": 1767225600})
    assert [Principal.from_payload(payload, token).token for token in ("a", "b", "a")] == ["a", "b", "a"]
