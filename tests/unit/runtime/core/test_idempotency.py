"""Idempotency keys of requests."""

from datetime import UTC, datetime

from services.runtime.core.idempotency import IdempotencyKey, build_idempotency_key
from services.runtime.core.principal import Principal

PRINCIPAL = Principal("u1", "admin", "u@delivery.test", True, datetime(2026, 1, 1, tzinfo=UTC))


def test_request_without_key_has_no_idempotency_key() -> None:
    assert build_idempotency_key(PRINCIPAL, "createBank", None, {}) is None


def test_key_contains_user_operation_and_encoded_request() -> None:
    key = build_idempotency_key(PRINCIPAL, "createBank", "k1", {"id": "visa"})
    assert key == IdempotencyKey("u1", "createBank", "k1", b'{"id":"visa"}')
    assert key != build_idempotency_key(PRINCIPAL, "createBank", "k1", {"id": "km"})
