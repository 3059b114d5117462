"""Administration of banks: validation, versions, secrets and the list for customers."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from generated.problems import Reason
from services.orders.domain.orders import Bank
from services.orders.entrypoints.proto_mapping import FIELD_POINTERS
from services.orders.usecases import banks
from services.orders.usecases.payment_callbacks import get_callback_secrets
from services.runtime.core.errors import ApiError
from services.runtime.core.idempotency import IdempotencyKey, build_idempotency_key
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import raises_reason
from tests.unit.orders.fakes import ADA, ADMIN, BANK, FakeRepository

KEY = IdempotencyKey("root", "createBank", "k1", b"")


def encode(bank: Bank) -> bytes:
    return bank.id.encode()


async def test_bank_is_created_once_per_idempotency_key() -> None:
    repository = FakeRepository(banks=())
    responses = [await banks.create_bank(repository, ADMIN, BANK, KEY, encode) for _ in range(2)]
    assert [(response.data, response.replayed) for response in responses] == [(b"visa", False), (b"visa", True)]
    assert repository.banks == {"visa": BANK}


async def test_upserted_banks_are_created_or_overwritten() -> None:
    repository = FakeRepository()
    changed, new = replace(BANK, title="Other"), replace(BANK, id="new")
    await banks.upsert_banks(repository, [changed, new])
    assert repository.banks == {"visa": changed, "new": new}


async def test_bank_with_used_id_raises() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.BANK_EXISTS):
        await banks.create_bank(repository, ADMIN, replace(BANK, title="Other"), KEY, encode)
    assert (repository.banks, repository.responses) == ({"visa": BANK}, {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "Visa"),
        ("id", "v" * 33),
        ("id", "visa\n"),
        ("title", ""),
        ("title", "x" * 101),
        ("title", "a\nb"),
        ("webcheckout_url", "javascript:alert(1)"),
        ("webcheckout_url", "https://"),
        ("api_url", "https://visa.test/a b"),
        ("api_url", "ftp://visa.test"),
        ("api_url", "https://visa.test/" + "x" * 483),
        ("api_url", "https://visa.test/refunds?key=1"),
        ("api_url", "https://visa.test:99999"),
        ("api_url", "https://xn--a/x"),
        ("webcheckout_url", "https://user@visa.test/pay"),
        ("webcheckout_url", "https://visa.test/pay#top"),
    ],
)
async def test_invalid_bank_is_rejected(field: str, value: str) -> None:
    repository = FakeRepository(banks=())
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await banks.create_bank(repository, ADMIN, replace(BANK, **{field: value}), None, encode)
    assert [error.field for error in raised.value.errors] == [field]
    assert field in FIELD_POINTERS
    assert repository.banks == {}


@pytest.mark.parametrize(
    "changes", [{"id": "v" * 32}, {"title": "x" * 100}, {"api_url": "https://visa.test/" + "x" * 482}]
)
async def test_bank_at_length_limit_is_accepted(changes: dict[str, str]) -> None:
    repository = FakeRepository(banks=())
    bank = replace(BANK, **changes)
    await banks.create_bank(repository, ADMIN, bank, None, encode)
    assert repository.banks == {bank.id: bank}


@pytest.mark.parametrize("expected", [None, {1}, {1, 7}])
async def test_update_increments_version(expected: set[int] | None) -> None:
    repository = FakeRepository()
    after = await banks.update_bank(repository, ADMIN, "visa", expected, {"title": "Visa Inc."})
    assert after == repository.banks["visa"] == replace(BANK, title="Visa Inc.", version=2)


async def test_base_urls_are_stored_without_trailing_slash() -> None:
    repository = FakeRepository(banks=())
    urls = {"webcheckout_url": "https://bank.example/pay/", "api_url": "https://bank.example/api//"}
    await banks.create_bank(repository, ADMIN, replace(BANK, **urls), None, encode)
    stored = await banks.get_bank(repository, ADMIN, BANK.id)
    assert (stored.webcheckout_url, stored.api_url) == ("https://bank.example/pay", "https://bank.example/api")
    updated = await banks.update_bank(repository, ADMIN, BANK.id, None, {"api_url": "https://bank.example/v2/"})
    assert updated.api_url == "https://bank.example/v2"


async def test_update_with_invalid_url_is_rejected() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await banks.update_bank(repository, ADMIN, "visa", None, {"api_url": "https://visa.test?key=1"})
    assert [error.field for error in raised.value.errors] == ["api_url"]
    assert repository.banks == {"visa": BANK}


async def test_stored_invalid_url_does_not_prevent_other_updates() -> None:
    stored = replace(BANK, api_url="https://visa.test:99999")
    repository = FakeRepository(banks=(stored,))
    after = await banks.update_bank(repository, ADMIN, "visa", None, {"active": False})
    assert after == replace(stored, active=False, version=2)


async def test_update_without_change_does_not_change_version() -> None:
    repository = FakeRepository()
    assert await banks.update_bank(repository, ADMIN, "visa", None, {"title": "Visa"}) == BANK


@pytest.mark.parametrize(
    ("bank_id", "expected", "changes", "reason"),
    [
        ("none", None, {"title": "x"}, Reason.BANK_NOT_FOUND),
        ("visa", {2, 3}, {"title": "x"}, Reason.PRECONDITION_FAILED),
        ("visa", {1}, {"api_url": "visa.test"}, Reason.INVALID_REQUEST),
    ],
)
async def test_rejected_update_changes_nothing(
    bank_id: str, expected: set[int] | None, changes: dict[str, str], reason: Reason
) -> None:
    repository = FakeRepository()
    with raises_reason(reason):
        await banks.update_bank(repository, ADMIN, bank_id, expected, changes)
    assert repository.banks == {"visa": BANK}


async def test_old_secret_is_valid_for_a_day_after_rotation() -> None:
    secret_box = SecretBox(Fernet.generate_key().decode())
    repository = FakeRepository(banks=[replace(BANK, webhook_secret=secret_box.encrypt("old"))])
    new = (await banks.rotate_bank_secret(repository, secret_box, repository.clock, ADMIN, "visa")).secret
    assert repository.banks["visa"].version == 2
    assert new.encode() not in repository.banks["visa"].webhook_secret
    assert await get_callback_secrets(repository, secret_box, repository.clock, "visa") == [new, "old"]
    repository.now += timedelta(days=1)
    assert await get_callback_secrets(repository, secret_box, repository.clock, "visa") == [new]


async def test_repeated_rotation_returns_first_secret() -> None:
    secret_box = SecretBox(Fernet.generate_key().decode())
    repository = FakeRepository(banks=(replace(BANK, webhook_secret=secret_box.encrypt("old")),))
    key = build_idempotency_key(ADMIN, "rotateBankSecret", "k", "visa")
    first = await banks.rotate_bank_secret(repository, secret_box, repository.clock, ADMIN, "visa", key)
    other = await banks.rotate_bank_secret(repository, secret_box, repository.clock, ADMIN, "visa")
    repeated = await banks.rotate_bank_secret(repository, secret_box, repository.clock, ADMIN, "visa", key)
    assert (first.replayed, repeated) == (False, first._replace(replayed=True))
    active = await get_callback_secrets(repository, secret_box, repository.clock, "visa")
    assert active == [other.secret, first.secret, "old"]
    assert first.secret.encode() not in repository.responses[key]


async def test_unknown_bank_raises() -> None:
    repository = FakeRepository(banks=())
    secret_box = SecretBox(Fernet.generate_key().decode())
    with raises_reason(Reason.BANK_NOT_FOUND):
        await banks.get_bank(repository, ADMIN, "visa")
    with raises_reason(Reason.BANK_NOT_FOUND):
        await banks.rotate_bank_secret(repository, secret_box, repository.clock, ADMIN, "visa")


async def test_administration_requires_admin_role() -> None:
    repository = FakeRepository()
    secret_box = SecretBox(Fernet.generate_key().decode())
    for operation in (
        banks.create_bank(repository, ADA, replace(BANK, id="new"), None, encode),
        banks.get_bank(repository, ADA, "visa"),
        banks.list_registered_banks(repository, ADA, 10, ""),
        banks.update_bank(repository, ADA, "visa", None, {"title": "x"}),
        banks.rotate_bank_secret(repository, secret_box, repository.clock, ADA, "visa"),
    ):
        with pytest.raises(ApiError) as raised:
            await operation
        assert raised.value.reason is Reason.FORBIDDEN
    assert repository.banks == {"visa": BANK}


async def test_customers_see_active_banks_in_pages() -> None:
    repository = FakeRepository(
        banks=[replace(BANK, id=bank_id, active=bank_id != "b") for bank_id in ("d", "b", "a", "c")]
    )
    first = await banks.list_banks(repository, 2, "")
    assert [bank.id for bank in first.items] == ["a", "c"]
    last = await banks.list_banks(repository, 2, first.next_page_token or "")
    assert ([bank.id for bank in last.items], last.next_page_token) == (["d"], None)


@pytest.mark.parametrize(
    ("active", "pages"), [(None, [["a", "b"], ["c", "d"]]), (True, [["a", "c"], ["d"]]), (False, [["b"]])]
)
async def test_registered_banks_are_filtered_in_pages(active: bool | None, pages: list[list[str]]) -> None:
    repository = FakeRepository(
        banks=[replace(BANK, id=bank_id, active=bank_id != "b") for bank_id in ("d", "b", "a", "c")]
    )
    listed, token = [], ""
    for _ in pages:
        page = await banks.list_registered_banks(repository, ADMIN, 2, token, active)
        listed.append([bank.id for bank in page.items])
        token = page.next_page_token or ""
    assert (listed, token) == (pages, "")
