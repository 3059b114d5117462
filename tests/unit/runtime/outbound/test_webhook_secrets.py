"""Webhook secrets: generation, rotation and the overlap of replaced secrets."""

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import InvalidToken
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from services.runtime.outbound import webhook_secrets
from tests.unit.fake_transactions import raises_reason

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Holder:
    name: str
    webhook_secret: bytes
    old_secret: bytes | None = None
    old_secret_until: datetime | None = None
    older_secrets: bytes | None = None


class FakeCipher:
    """Encryption that reverses the secret."""

    def encrypt(self, secret: str) -> bytes:
        return secret[::-1].encode()

    def decrypt(self, encrypted: bytes) -> str:
        return encrypted.decode()[::-1]


CIPHER = FakeCipher()


def decrypt_active(holder: Holder, age: timedelta) -> list[str]:
    return webhook_secrets.decrypt_active_secrets(holder, CIPHER.decrypt, NOW + age)


def test_generated_secrets_are_random_standard_webhooks_secrets() -> None:
    first, second = webhook_secrets.generate_secret(), webhook_secrets.generate_secret()
    prefix, _, encoded = first.partition("_")
    assert (prefix, len(base64.b64decode(encoded, validate=True))) == ("whsec", 32)
    assert first != second


def test_holder_without_rotation_has_one_active_secret() -> None:
    assert decrypt_active(Holder("h", b"wen"), timedelta(0)) == ["new"]


@given(age=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_old_secret_is_active_for_one_day(age: timedelta) -> None:
    rotated = webhook_secrets.rotate_secret(Holder("h", b"dlo"), "new", CIPHER, NOW)
    assert decrypt_active(rotated, age) == (["new", "old"] if age < timedelta(hours=24) else ["new"])


def test_every_replaced_secret_is_active_for_one_day() -> None:
    hour = timedelta(hours=1)
    holder = Holder("h", b"0")
    for number in range(1, 5):
        holder = webhook_secrets.rotate_secret(holder, str(number), CIPHER, NOW + number * hour)
    assert decrypt_active(holder, 4 * hour) == ["4", "3", "2", "1", "0"]
    assert decrypt_active(holder, 25 * hour) == ["4", "3", "2", "1"]
    assert decrypt_active(holder, 27 * hour) == ["4", "3"]
    assert decrypt_active(holder, 28 * hour) == ["4"]


def test_rotation_with_too_many_replaced_secrets_is_rejected() -> None:
    holder = Holder("h", b"0")
    for number in range(1, 1 + webhook_secrets.MAX_OLD_SECRETS):
        holder = webhook_secrets.rotate_secret(holder, str(number), CIPHER, NOW + timedelta(minutes=number))
    with raises_reason(Reason.TOO_MANY_REQUESTS) as raised:
        webhook_secrets.rotate_secret(holder, "x", CIPHER, NOW + timedelta(hours=1))
    assert raised.value.retry_after == 23 * 3600 + 60
    later = webhook_secrets.rotate_secret(holder, "x", CIPHER, NOW + timedelta(hours=24, minutes=1))
    assert decrypt_active(later, timedelta(hours=24, minutes=1)) == ["x", "4", "3", "2", "1"]


def test_secret_is_found_by_fingerprint_while_it_is_valid() -> None:
    holder = webhook_secrets.rotate_secret(Holder("h", b"dlo"), "new", CIPHER, NOW)
    fingerprint = webhook_secrets.compute_fingerprint("old")
    assert b"old" not in fingerprint
    assert webhook_secrets.find_secret(holder, CIPHER.decrypt, NOW, fingerprint) == "old"
    with raises_reason(Reason.IDEMPOTENCY_KEY_REUSED):
        webhook_secrets.find_secret(holder, CIPHER.decrypt, NOW + timedelta(days=1), fingerprint)


@pytest.mark.parametrize("name", ["webhook_secret", "old_secret", "older_secrets"])
def test_secret_of_unknown_key_is_temporarily_unavailable(name: str, caplog: pytest.LogCaptureFixture) -> None:
    def decrypt(encrypted: bytes) -> str:
        if encrypted == b"unknown":
            raise InvalidToken
        return CIPHER.decrypt(encrypted)

    holder = Holder("bank", b"a", b"b", NOW + timedelta(hours=1), CIPHER.encrypt("[]"))
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        webhook_secrets.decrypt_active_secrets(replace(holder, **{name: b"unknown"}), decrypt, NOW)
    assert "no key of ENCRYPTION_KEY fits" in caplog.text
