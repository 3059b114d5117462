"""Avatars: a new picture is stored, then pointed to, and only then the old one removed; what is left over is swept."""

import logging
from datetime import timedelta

from generated.problems import Reason
from services.gateway import domain
from services.gateway.domain import Account
from services.gateway.usecases import profiles
from services.gateway.usecases.ports import Pictures, Store
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.rest.types import Blob, Upload

log = logging.getLogger(__name__)

FOLDER = "avatars"
GRACE = timedelta(hours=1)
"""How old a picture without an account must be to be removed; longer than any upload takes."""


async def put(store: Store, pictures: Pictures, who: Principal, upload: Upload) -> Account:
    """The profile with its new picture. Refuses USER_NOT_FOUND, PICTURE_REFUSED and UNSUPPORTED_MEDIA_TYPE."""
    await profiles.get(store, who)
    name = await pictures.add(FOLDER, upload)
    return await _point(store, pictures, who, name)


async def delete(store: Store, pictures: Pictures, who: Principal) -> None:
    """Refuses USER_NOT_FOUND; without a picture there is nothing to do."""
    await _point(store, pictures, who, None)


async def _point(store: Store, pictures: Pictures, who: Principal, name: str | None) -> Account:
    for _ in range(profiles.TRIES):
        account = await profiles.get(store, who)
        if account.avatar == name:
            return account
        after = account.changed(avatar=name)
        if await store.save(after, domain.updated(after)):
            break
    else:
        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "The profile is being changed.", retry_after=1)
    if account.avatar is not None:
        try:
            await pictures.remove(account.avatar)
        except Refusal as refusal:
            log.warning("an old avatar is left to the sweep: %s", refusal)
    return after


async def get(store: Store, pictures: Pictures, who: Principal) -> tuple[str, Blob]:
    """The picture with its ETag, which does not tell its name. Refuses USER_NOT_FOUND and AVATAR_NOT_FOUND."""
    account = await profiles.get(store, who)
    picture = None if account.avatar is None else await pictures.get(account.avatar)
    if account.avatar is None or picture is None:
        raise Refusal(Reason.AVATAR_NOT_FOUND)
    return f'"{domain.digest(account.avatar).hex()[:32]}"', picture


async def sweep(store: Store, pictures: Pictures) -> int:
    """Removes pictures that no account points to. Returns 0: what is left is as young as it was."""
    await pictures.remove_orphans(FOLDER, await store.avatars(), GRACE)
    return 0
