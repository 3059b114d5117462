"""Avatars: a new picture is stored, then pointed to, and only then the old one removed; what is left over is swept."""

import logging
from datetime import timedelta

from generated.problems import Reason
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import Account
from services.gateway.usecases import profiles
from services.gateway.usecases.ports import ImageStore, Repository
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.rest.types import BinaryResponse, Upload

log = logging.getLogger(__name__)

FOLDER = "avatars"
ORPHAN_MIN_AGE = timedelta(hours=1)
"""How old a picture without an account must be to be removed; longer than any upload takes."""


async def set_avatar(repository: Repository, image_store: ImageStore, principal: Principal, upload: Upload) -> Account:
    """The profile with its new picture. Refuses USER_NOT_FOUND, PICTURE_REFUSED and UNSUPPORTED_MEDIA_TYPE."""
    await profiles.get_profile(repository, principal)
    name = await image_store.add(FOLDER, upload)
    return await _set_avatar_name(repository, image_store, principal, name)


async def delete_avatar(repository: Repository, image_store: ImageStore, principal: Principal) -> None:
    """Refuses USER_NOT_FOUND; without a picture there is nothing to do."""
    await _set_avatar_name(repository, image_store, principal, None)


async def _set_avatar_name(
    repository: Repository, image_store: ImageStore, principal: Principal, name: str | None
) -> Account:
    for _ in range(profiles.MAX_ATTEMPTS):
        account = await profiles.get_profile(repository, principal)
        if account.avatar == name:
            return account
        after = account.next_version(avatar=name)
        if await repository.save_account(after, account_rules.build_user_updated_event(after)):
            break
    else:
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The profile is being changed.", retry_after=1)
    if account.avatar is not None:
        try:
            await image_store.delete(account.avatar)
        except ApiError as refusal:
            log.warning("an old avatar is left to the sweep: %s", refusal)
    return after


async def get_avatar(
    repository: Repository, image_store: ImageStore, principal: Principal
) -> tuple[str, BinaryResponse]:
    """The picture with its ETag, which does not tell its name. Refuses USER_NOT_FOUND and AVATAR_NOT_FOUND."""
    account = await profiles.get_profile(repository, principal)
    picture = None if account.avatar is None else await image_store.get(account.avatar)
    if account.avatar is None or picture is None:
        raise ApiError(Reason.AVATAR_NOT_FOUND)
    return f'"{account_rules.hash_secret(account.avatar).hex()[:32]}"', picture


async def delete_orphaned_avatars(repository: Repository, image_store: ImageStore) -> int:
    """Removes pictures that no account points to. Returns 0: what is left is as young as it was."""
    await image_store.delete_orphans(FOLDER, await repository.list_avatar_names(), ORPHAN_MIN_AGE)
    return 0
