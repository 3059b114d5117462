"""Management of partners: versions, catalog events and secrets."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from generated.problems import Reason
from services.partners.domain.partners import Partner
from services.partners.usecases import partners
from services.partners.usecases.ready_callbacks import get_callback_secrets
from services.runtime.core.idempotency import IdempotencyKey, build_idempotency_key
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import raises_reason
from tests.unit.partners.fakes import ADA, ADMIN, BOWL, FakeRepository

KEY = IdempotencyKey("root", "createPartner", "k1", b"")
SECRET_BOX = SecretBox(Fernet.generate_key().decode())


async def update(repository: FakeRepository, *expected: int, **updates: object) -> Partner:
    return await partners.update_partner(repository, repository.clock, ADMIN, 1, expected or None, updates)


async def test_partner_is_created_once_per_idempotency_key() -> None:
    repository = FakeRepository()
    responses = [
        await partners.create_partner(
            repository, ADMIN, replace(BOWL, id=0), KEY, lambda partner: str(partner.id).encode()
        )
        for _ in range(2)
    ]
    assert [(response.data, response.replayed) for response in responses] == [(b"1", False), (b"1", True)]
    assert repository.partners == {1: BOWL}


async def test_partners_are_listed_in_pages() -> None:
    repository = FakeRepository(*(replace(BOWL, id=index) for index in (3, 1, 2)))
    first = await partners.list_partners(repository, ADMIN, 2, "")
    last = await partners.list_partners(repository, ADMIN, 2, first.next_page_token or "")
    assert [partner.id for partner in [*first.items, *last.items]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("updates", "event_count"),
    [
        ({"title": "Red Bowl"}, 1),
        ({"enabled": False}, 1),
        ({"phone": "+12025550199"}, 0),
        ({"title": "Green Bowl"}, 0),
    ],
)
async def test_catalog_event_is_published_for_visible_changes(updates: dict[str, object], event_count: int) -> None:
    repository = FakeRepository(BOWL)
    after = await update(repository, **updates)
    is_changed = after != BOWL
    assert after == repository.partners[1] == replace(BOWL, **updates, version=2 if is_changed else 1)
    assert [event.subject for event in repository.events] == ["partner:1"] * event_count


async def test_closed_partner_changes_without_catalog_event() -> None:
    repository = FakeRepository(replace(BOWL, verified=False))
    await update(repository, title="Red Bowl")
    assert repository.events == []
    await update(repository, verified=True)
    assert len(repository.events) == 1


@pytest.mark.parametrize("version", [0, 2])
async def test_update_of_other_version_changes_nothing(version: int) -> None:
    repository = FakeRepository(BOWL)
    with raises_reason(Reason.PRECONDITION_FAILED):
        await update(repository, version, title="x")
    assert (repository.partners, repository.events) == ({1: BOWL}, [])


async def test_enabled_partner_is_called_again() -> None:
    repository = FakeRepository(replace(BOWL, gone=True, enabled=False))
    assert (await update(repository, phone="1")).gone
    assert not (await update(repository, enabled=True)).gone


async def test_disabled_partner_takes_no_orders() -> None:
    repository = FakeRepository(BOWL)
    for _ in range(2):
        await partners.disable_partner(repository, repository.clock, ADMIN, 1)
    assert repository.partners == {1: replace(BOWL, enabled=False, version=2)}
    assert len(repository.events) == 1


async def test_old_secret_is_valid_for_a_day_after_rotation() -> None:
    repository = FakeRepository(replace(BOWL, webhook_secret=SECRET_BOX.encrypt("old")))
    new = (await partners.rotate_partner_secret(repository, SECRET_BOX, repository.clock, ADMIN, 1)).secret
    assert await get_callback_secrets(repository, SECRET_BOX, repository.clock, 1) == [new, "old"]
    repository.now += timedelta(days=1)
    assert await get_callback_secrets(repository, SECRET_BOX, repository.clock, 1) == [new]


async def test_repeated_rotation_returns_first_secret() -> None:
    repository = FakeRepository(replace(BOWL, webhook_secret=SECRET_BOX.encrypt("old")))
    key = build_idempotency_key(ADMIN, "rotatePartnerSecret", "k", 1)
    first = await partners.rotate_partner_secret(repository, SECRET_BOX, repository.clock, ADMIN, 1, key)
    other = await partners.rotate_partner_secret(repository, SECRET_BOX, repository.clock, ADMIN, 1)
    repeated = await partners.rotate_partner_secret(repository, SECRET_BOX, repository.clock, ADMIN, 1, key)
    assert (first.replayed, repeated) == (False, first._replace(replayed=True))
    active = await get_callback_secrets(repository, SECRET_BOX, repository.clock, 1)
    assert active == [other.secret, first.secret, "old"]


@pytest.mark.parametrize(("principal", "reason"), [(ADMIN, Reason.PARTNER_NOT_FOUND), (ADA, Reason.FORBIDDEN)])
async def test_unknown_partner_and_missing_role_raise(principal, reason: Reason) -> None:
    repository = FakeRepository()
    for operation in (
        partners.get_partner(repository, principal, 1),
        partners.update_partner(repository, repository.clock, principal, 1, None, {}),
        partners.disable_partner(repository, repository.clock, principal, 1),
        partners.rotate_partner_secret(repository, SECRET_BOX, repository.clock, principal, 1),
    ):
        with raises_reason(reason):
            await operation


async def test_customer_neither_creates_nor_lists_partners() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.FORBIDDEN):
        await partners.create_partner(repository, ADA, BOWL, None, lambda partner: b"")
    with raises_reason(Reason.FORBIDDEN):
        await partners.list_partners(repository, ADA, 10, "")
    assert repository.partners == {}


@pytest.mark.parametrize("url", ["https://bowl.test/", "https://bowl.test//", "https://bowl.test"])
async def test_base_url_is_stored_without_trailing_slash(url: str) -> None:
    repository = FakeRepository(replace(BOWL, api_url="https://other.test"))
    assert (await update(repository, api_url=url)).api_url == "https://bowl.test"


@pytest.mark.parametrize(
    "url", ["https://", "", "///", "https://a.test:99999", "https://xn--a/x", "https://a.test/?key=1"]
)
async def test_invalid_base_url_is_rejected(url: str) -> None:
    repository = FakeRepository(BOWL)
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await update(repository, api_url=url)
    assert [error.field for error in raised.value.errors] == ["api_url"]
    assert repository.partners == {1: BOWL}
