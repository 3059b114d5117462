"""Profiles: one's own, and what admins do with others'."""

from datetime import datetime

from generated.problems import Reason
from generated.rest.delivery.models import ProfilePatch
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import Account, ProfileChanges
from services.gateway.usecases.ports import AccountFilter, IdentityProvider, Repository
from services.runtime.core import pagination
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal
from services.runtime.rest import preconditions

MAX_ATTEMPTS = 3
"""How often a change is made again on top of somebody else's."""


async def get_profile(repository: Repository, principal: Principal) -> Account:
    """One's own profile. Refuses USER_NOT_FOUND when the account is gone."""
    return await _get_account(repository, principal.user_id)


async def _get_account(repository: Repository, user_id: str) -> Account:
    account = await repository.get_account(user_id)
    if account is None:
        raise ApiError(Reason.USER_NOT_FOUND)
    return account


async def update_profile(
    repository: Repository, principal: Principal, body: ProfilePatch, if_match: str | None
) -> Account:
    """A merge patch. Refuses PRECONDITION_FAILED when the profile is not as `if_match` says."""
    patch = ProfileChanges.from_merge_patch(body)
    for _ in range(MAX_ATTEMPTS):
        account = await get_profile(repository, principal)
        preconditions.check_if_match(if_match, account.etag)
        after = account.next_version(**patch.changes)
        if await repository.save_account(after, account_rules.build_user_updated_event(after)):
            return after
    raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The profile is being changed.", retry_after=1)


async def list_accounts(
    repository: Repository, page_size: int, page_token: str, account_filter: AccountFilter
) -> Page[Account]:
    """A page of accounts, newest first."""
    rows = await repository.list_accounts(
        page_size + 1, pagination.decode_page_token(page_token, tuple[datetime, str]), account_filter
    )
    return pagination.build_page(rows, page_size, lambda account: (account.created_at.isoformat(), account.id))


async def set_role(repository: Repository, identity: IdentityProvider, user_id: str, role: str) -> Account:
    """The provider first: if ours is cut off, the same request again makes both alike. Refuses USER_NOT_FOUND."""
    for _ in range(MAX_ATTEMPTS):
        account = await _get_account(repository, user_id)
        await identity.set_role(account.id, role)
        after = account.next_version(role=role)
        if await repository.save_account(after, account_rules.build_user_updated_event(after)):
            return after
    raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The account is being changed.", retry_after=1)
