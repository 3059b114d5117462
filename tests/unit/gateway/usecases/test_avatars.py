"""Avatars: a new image is referenced before the old one is deleted."""

from dataclasses import replace

import pytest

from generated.problems import Reason
from services.gateway.domain.images import Image
from services.gateway.usecases import avatars
from tests.unit.fake_transactions import build_principal, raises_reason
from tests.unit.gateway.fakes import ADA, FakeImageStore, FakeRepository

PRINCIPAL = build_principal("customer")
PICTURE = Image("image/png", b"new")
WITH_AVATAR = replace(ADA, avatar="avatars/old")


async def test_new_avatar_replaces_old_one() -> None:
    repository, images = FakeRepository(WITH_AVATAR), FakeImageStore("avatars/old")
    account = await avatars.set_avatar(repository, images, PRINCIPAL, PICTURE)
    assert images.images == {account.avatar: PICTURE}
    assert repository.accounts["ada"] == account
    assert account.version == 2


async def test_new_avatar_is_set_although_old_one_cannot_be_deleted() -> None:
    repository, images = FakeRepository(WITH_AVATAR), FakeImageStore("avatars/old", delete_fails=True)
    account = await avatars.set_avatar(repository, images, PRINCIPAL, PICTURE)
    assert set(images.images) == {"avatars/old", account.avatar}


async def test_avatar_of_unknown_user_is_not_stored() -> None:
    images = FakeImageStore()
    with raises_reason(Reason.USER_NOT_FOUND):
        await avatars.set_avatar(FakeRepository(), images, PRINCIPAL, PICTURE)
    assert images.images == {}


async def test_avatar_is_deleted_once() -> None:
    repository, images = FakeRepository(WITH_AVATAR), FakeImageStore("avatars/old")
    for _ in range(2):
        await avatars.delete_avatar(repository, images, PRINCIPAL)
    assert repository.accounts["ada"] == replace(ADA, version=2)
    assert (images.images, len(repository.events)) == ({}, 1)


async def test_entity_tag_does_not_reveal_image_name() -> None:
    etag, image = await avatars.get_avatar(FakeRepository(WITH_AVATAR), FakeImageStore("avatars/old"), PRINCIPAL)
    assert image.content == b"old"
    assert len(etag) == 32
    assert "old" not in etag


@pytest.mark.parametrize("account", [ADA, WITH_AVATAR])
async def test_missing_avatar_raises(account) -> None:
    with raises_reason(Reason.AVATAR_NOT_FOUND):
        await avatars.get_avatar(FakeRepository(account), FakeImageStore(), PRINCIPAL)


async def test_clean_up_retains_referenced_avatars() -> None:
    images = FakeImageStore()
    repository = FakeRepository(WITH_AVATAR, replace(ADA, id="bob"))
    assert await avatars.delete_orphaned_avatars(repository, images) == 0
    assert images.clean_ups == [("avatars", {"avatars/old"}, avatars.ORPHAN_MIN_AGE)]
