"""Avatars: a new image is stored, then referenced by the profile, and only then the old one is deleted.

A background job deletes images that this leaves unreferenced.
"""

import logging
from datetime import timedelta

from generated.problems import Reason
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import Account
from services.gateway.domain.images import Image
from services.gateway.usecases import profiles
from services.gateway.usecases.ports import ImageStore, Repository
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal

log = logging.getLogger(__name__)

FOLDER = "avatars"
ORPHAN_MIN_AGE = timedelta(hours=1)
"""Minimum age of an unreferenced image before it is deleted; longer than any upload takes."""


async def set_avatar(repository: Repository, image_store: ImageStore, principal: Principal, image: Image) -> Account:
    """Replace the avatar. Returns the changed profile.

    Raises ApiError: USER_NOT_FOUND, PICTURE_REFUSED, UNSUPPORTED_MEDIA_TYPE.
    """
    await profiles.get_profile(repository, principal)
    name = await image_store.add(FOLDER, image)
    return await _set_avatar_name(repository, image_store, principal, name)


async def delete_avatar(repository: Repository, image_store: ImageStore, principal: Principal) -> None:
    """Delete the avatar, if there is one.

    Raises ApiError: USER_NOT_FOUND.
    """
    await _set_avatar_name(repository, image_store, principal, None)


async def _set_avatar_name(
    repository: Repository, image_store: ImageStore, principal: Principal, name: str | None
) -> Account:
    async with repository.unit_of_work() as unit:
        before = await profiles.lock_account(unit, principal.user_id)
        if before.avatar == name:
            return before
        changed = await profiles.save_account(unit, before.with_changes(avatar=name))
    if before.avatar is not None:
        try:
            await image_store.delete(before.avatar)
        except ApiError as error:
            log.warning("old avatar not deleted: %s; left to the orphan clean-up", error)
    return changed


async def get_avatar(repository: Repository, image_store: ImageStore, principal: Principal) -> tuple[str, Image]:
    """Return an entity tag, which does not reveal the object's name, and the avatar.

    Raises ApiError: USER_NOT_FOUND, AVATAR_NOT_FOUND.
    """
    account = await profiles.get_profile(repository, principal)
    image = None if account.avatar is None else await image_store.get(account.avatar)
    if account.avatar is None or image is None:
        raise ApiError(Reason.AVATAR_NOT_FOUND)
    return account_rules.hash_secret(account.avatar).hex()[:32], image


async def delete_orphaned_avatars(repository: Repository, image_store: ImageStore) -> int:
    """Delete images that no account references. Returns 0, since one run deletes every orphan that is old enough."""
    await image_store.delete_orphans(FOLDER, await repository.accounts.list_avatar_names(), ORPHAN_MIN_AGE)
    return 0
