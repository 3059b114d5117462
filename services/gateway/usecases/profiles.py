"""Profiles: reading and changing one's own, and administration of accounts."""

from collections.abc import Callable
from datetime import datetime

from generated.problems import Reason
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import Account, AccountFilter, ProfileChanges
from services.gateway.usecases.ports import IdentityProvider, Repository
from services.runtime.core import pagination
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal

MAX_ATTEMPTS = 3
"""Maximum attempts of a change that conflicts with concurrent changes (optimistic locking)."""


async def get_profile(repository: Repository, principal: Principal) -> Account:
    """Return the caller's profile.

    Raises ApiError: USER_NOT_FOUND.
    """
    return await _get_account(repository, principal.user_id)


async def _get_account(repository: Repository, user_id: str) -> Account:
    account = await repository.get_account(user_id)
    if account is None:
        raise ApiError(Reason.USER_NOT_FOUND)
    return account


async def update_profile(
    repository: Repository, principal: Principal, changes: ProfileChanges, check_version: Callable[[int], None]
) -> Account:
    """Change the caller's profile. Returns the changed profile.

    `check_version` raises an error for a current version that the caller does not expect.

    Raises ApiError: TIME_ZONE_UNKNOWN, USER_NOT_FOUND.
    """
    account_rules.validate_time_zone(changes.get("time_zone"))
    for _ in range(MAX_ATTEMPTS):
        account = await get_profile(repository, principal)
        check_version(account.version)
        changed = account.with_changes(**changes)
        if await repository.save_account(changed, account_rules.build_user_updated_event(changed)):
            return changed
    raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "Concurrent changes of the profile.", retry_after=1)


async def list_accounts(
    repository: Repository, page_size: int, page_token: str, account_filter: AccountFilter
) -> Page[Account]:
    """Return a page of accounts, newest first."""
    rows = await repository.list_accounts(
        page_size + 1, pagination.decode_page_token(page_token, tuple[datetime, str]), account_filter
    )
    return pagination.build_page(rows, page_size, lambda account: (account.created_at.isoformat(), account.id))


async def set_role(repository: Repository, identity: IdentityProvider, user_id: str, role: str) -> Account:
    """Assign a role. Returns the changed account.

    The identity provider is updated first, so that repeating an interrupted request makes both stores consistent.

    Raises ApiError: USER_NOT_FOUND.
    """
    for _ in range(MAX_ATTEMPTS):
        account = await _get_account(repository, user_id)
        await identity.set_role(account.id, role)
        changed = account.with_changes(role=role)
        if await repository.save_account(changed, account_rules.build_user_updated_event(changed)):
            return changed
    raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "Concurrent changes of the account.", retry_after=1)
