"""Profiles: one's own, and what admins do with others'."""

from datetime import datetime

from generated.problems import Reason
from generated.rest.delivery.models import ProfilePatch
from services.gateway import domain
from services.gateway.domain import Account, Patch
from services.gateway.usecases.ports import Identity, Store, Wanted
from services.runtime import paging
from services.runtime.paging import Page
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.rest import preconditions

TRIES = 3
"""How often a change is made again on top of somebody else's."""


async def get(store: Store, who: Principal) -> Account:
    """One's own profile. Refuses USER_NOT_FOUND when the account is gone."""
    return await _account(store, who.user_id)


async def _account(store: Store, user_id: str) -> Account:
    account = await store.account(user_id)
    if account is None:
        raise Refusal(Reason.USER_NOT_FOUND)
    return account


async def update(store: Store, who: Principal, body: ProfilePatch, if_match: str | None) -> Account:
    """A merge patch. Refuses PRECONDITION_FAILED when the profile is not as `if_match` says."""
    patch = Patch.of(body)
    for _ in range(TRIES):
        account = await get(store, who)
        preconditions.demand(if_match, account.etag)
        after = account.changed(**patch.changes)
        if await store.save(after, domain.updated(after)):
            return after
    raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "The profile is being changed.", retry_after=1)


async def find(store: Store, size: int, token: str, wanted: Wanted) -> Page[Account]:
    """A page of accounts, newest first."""
    rows = await store.accounts(size + 1, paging.decode(token, tuple[datetime, str]), wanted)
    return paging.cut(rows, size, lambda account: (account.created_at.isoformat(), account.id))


async def set_role(store: Store, identity: Identity, user_id: str, role: str) -> Account:
    """The provider first: if ours is cut off, the same request again makes both alike. Refuses USER_NOT_FOUND."""
    for _ in range(TRIES):
        account = await _account(store, user_id)
        await identity.set_role(account.id, role)
        after = account.changed(role=role)
        if await store.save(after, domain.updated(after)):
            return after
    raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "The account is being changed.", retry_after=1)
