"""Encryption of secrets with several keys."""

from itertools import pairwise

import pytest
from cryptography.fernet import Fernet, InvalidToken

from services.runtime.storage.encryption import SecretBox


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_first_key_encrypts_and_every_key_decrypts() -> None:
    old, new = new_key(), new_key()
    encrypted_before = SecretBox(old).encrypt("whsec_grün")
    rotated = SecretBox(f"{new}, {old}")
    encrypted_after = rotated.encrypt("whsec_grün")
    assert rotated.decrypt(encrypted_before) == rotated.decrypt(encrypted_after) == "whsec_grün"
    assert SecretBox(new).decrypt(encrypted_after) == "whsec_grün"
    for keys, encrypted in ((old, encrypted_after), (new, encrypted_before)):
        with pytest.raises(InvalidToken):
            SecretBox(keys).decrypt(encrypted)


OLD_KEY, NEW_KEY = new_key(), new_key()
BEFORE_REENCRYPTION = (OLD_KEY, f"{OLD_KEY},{NEW_KEY}", f"{NEW_KEY},{OLD_KEY}")
"""Settings of the steps of a rotation before the stored secrets are re-encrypted."""


@pytest.mark.parametrize("steps", [*pairwise(BEFORE_REENCRYPTION), *pairwise(BEFORE_REENCRYPTION[::-1])])
def test_processes_of_adjacent_rotation_steps_read_each_other(steps: tuple[str, str]) -> None:
    writer, reader = map(SecretBox, steps)
    assert reader.decrypt(writer.encrypt("secret")) == "secret"


@pytest.mark.parametrize("writer", BEFORE_REENCRYPTION)
def test_reencrypted_secret_of_each_step_needs_the_new_key_only(writer: str) -> None:
    encrypted = SecretBox(writer).encrypt("secret")
    last_step = SecretBox(BEFORE_REENCRYPTION[-1])
    assert SecretBox(NEW_KEY).decrypt(last_step.reencrypt(encrypted) or encrypted) == "secret"


def test_reencrypted_secret_needs_new_key_only() -> None:
    old, new = new_key(), new_key()
    encrypted = SecretBox(old).encrypt("secret")
    reencrypted = SecretBox(f"{new},{old}").reencrypt(encrypted)
    assert reencrypted is not None
    assert SecretBox(new).decrypt(reencrypted) == "secret"


def test_secret_of_first_key_is_not_reencrypted() -> None:
    secret_box = SecretBox(f"{new_key()},{new_key()}")
    assert secret_box.reencrypt(secret_box.encrypt("secret")) is None


def test_secret_of_unknown_key_is_not_reencrypted() -> None:
    with pytest.raises(InvalidToken):
        SecretBox(f"{new_key()},{new_key()}").reencrypt(SecretBox(new_key()).encrypt("secret"))


def test_memoryview_of_database_is_decrypted() -> None:
    secret_box = SecretBox(new_key())
    encrypted = memoryview(secret_box.encrypt("secret"))
    assert secret_box.decrypt(encrypted) == "secret"  # type: ignore[arg-type]
    assert secret_box.reencrypt(encrypted) is None  # type: ignore[arg-type]


def test_decrypted_secret_is_cached_by_its_encrypted_value() -> None:
    secret_box = SecretBox(new_key())
    first, second = secret_box.encrypt("first"), secret_box.encrypt("second")
    for _ in range(2):
        assert [secret_box.decrypt_cached(each) for each in (first, memoryview(second))] == ["first", "second"]
        with pytest.raises(InvalidToken):
            secret_box.decrypt_cached(first[:-8] + b"AAAAAAA=")
    assert secret_box._decrypt_cached.cache_info().hits == 2
