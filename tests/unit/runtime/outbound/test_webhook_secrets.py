"""Webhook secrets: generation, rotation and the overlap of the previous secret."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.outbound import webhook_secrets

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Holder:
    name: str
    webhook_secret: bytes
    old_secret: bytes | None = None
    old_secret_until: datetime | None = None


def decrypt(secret: bytes) -> str:
    return secret.decode().upper()


def test_generated_secrets_are_random_standard_webhooks_secrets() -> None:
    first, second = webhook_secrets.generate_secret(), webhook_secrets.generate_secret()
    prefix, _, encoded = first.partition("_")
    assert (prefix, len(base64.b64decode(encoded, validate=True))) == ("whsec", 32)
    assert first != second


def test_holder_without_rotation_has_one_active_secret() -> None:
    assert webhook_secrets.decrypt_active_secrets(Holder("h", b"new"), decrypt, NOW) == ["NEW"]


@given(age=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_old_secret_is_active_for_one_day(age: timedelta) -> None:
    rotated = webhook_secrets.rotate_secret(Holder("h", b"old"), b"new", NOW)
    active = webhook_secrets.decrypt_active_secrets(rotated, decrypt, NOW + age)
    assert active == (["NEW", "OLD"] if age < timedelta(hours=24) else ["NEW"])


def test_second_rotation_drops_first_secret() -> None:
    holder = webhook_secrets.rotate_secret(Holder("h", b"1"), b"2", NOW)
    holder = webhook_secrets.rotate_secret(holder, b"3", NOW + timedelta(minutes=1))
    assert holder == Holder("h", b"3", b"2", NOW + timedelta(minutes=1) + webhook_secrets.ROTATION_OVERLAP)
