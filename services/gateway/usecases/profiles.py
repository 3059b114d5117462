"""Profiles: reading and changing one's own, and administration of accounts."""

from collections.abc import Callable
from datetime import datetime

from generated.problems import Reason
from services.gateway.domain import accounts as account_rules
from services.gateway.domain import input_rules
from services.gateway.domain.accounts import Account, AccountFilter, ProfileChanges
from services.gateway.usecases.ports import IdentityProvider, Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal


async def get_profile(repository: Repository, principal: Principal) -> Account:
    """Return the caller's profile.

    Raises ApiError: USER_NOT_FOUND.
    """
    return require_account(await repository.accounts.get(principal.user_id))


def require_account(account: Account | None) -> Account:
    """Return the account.

    Raises ApiError: USER_NOT_FOUND without one.
    """
    if account is None:
        raise ApiError(Reason.USER_NOT_FOUND)
    return account


async def lock_account(unit: UnitOfWork, user_id: str) -> Account:
    """Return the active account, locked until the unit of work ends.

    Raises ApiError: USER_NOT_FOUND.
    """
    return require_account(await unit.accounts.get_for_update(user_id))


async def save_account(unit: UnitOfWork, account: Account) -> Account:
    """Save and publish the change of an active account, and return it."""
    await unit.accounts.save(account)
    await unit.publish(account_rules.build_user_updated_event(account))
    return account


async def update_profile(
    repository: Repository,
    clock: Clock,
    principal: Principal,
    changes: ProfileChanges,
    check_version: Callable[[int], None],
) -> Account:
    """Change the caller's profile. Returns the changed profile.

    `check_version` raises an error for a current version that the caller does not expect.

    Raises ApiError: BIRTH_DATE_IN_FUTURE, TIME_ZONE_UNKNOWN, USER_NOT_FOUND.
    """
    input_rules.validate_time_zone(changes.get("time_zone"))
    input_rules.validate_birth_date(changes.get("birth_date"), clock())
    async with repository.unit_of_work() as unit:
        account = await lock_account(unit, principal.user_id)
        check_version(account.version)
        return await save_account(unit, account.with_profile_changes(changes, clock()))


async def list_accounts(
    repository: Repository, page_size: int, page_token: str, account_filter: AccountFilter
) -> Page[Account]:
    """Return a page of accounts, newest first."""
    rows = await repository.accounts.list_before(
        pagination.decode_page_token(page_token, tuple[datetime, str]), page_size + 1, account_filter
    )
    return pagination.build_page(rows, page_size, lambda account: (account.created_at.isoformat(), account.id))


async def set_role(
    repository: Repository, identity: IdentityProvider, clock: Clock, user_id: str, role: str
) -> Account:
    """Assign a role, revoke the account's access tokens and invalidate its codes. Returns the changed account.

    The identity provider is updated first, so that repeating an interrupted request makes both stores consistent.

    Raises ApiError: USER_NOT_FOUND.
    """
    require_account(await repository.accounts.get(user_id))
    await identity.set_role(user_id, role)
    async with repository.unit_of_work() as unit:
        account = await lock_account(unit, user_id)
        await unit.invalidate_codes(user_id)
        await unit.revoke_tokens(user_id, clock())
        return await save_account(unit, account.with_changes(role=role))


async def verify_email(repository: Repository, identity: IdentityProvider, user_id: str) -> None:
    """Mark the e-mail address of an account as verified, without a code.

    Raises ApiError: USER_NOT_FOUND.
    """
    await identity.mark_email_verified(user_id)
    async with repository.unit_of_work() as unit:
        account = await lock_account(unit, user_id)
        await save_account(unit, account.with_changes(email_verified=True))


async def set_disabled(
    repository: Repository, identity: IdentityProvider, clock: Clock, user_id: str, *, disabled: bool
) -> None:
    """Disable or enable an account.

    Disabling ends every session of the account, revokes its access tokens and invalidates its codes. As in `set_role`,
    the identity provider is updated first.

    Raises ApiError: USER_NOT_FOUND.
    """
    require_account(await repository.accounts.get(user_id))
    await identity.set_disabled(user_id, disabled=disabled)
    async with repository.unit_of_work() as unit:
        account = await lock_account(unit, user_id)
        if disabled:
            await unit.invalidate_codes(user_id)
            await unit.revoke_tokens(user_id, clock())
        await save_account(unit, account.with_changes(disabled=disabled))
