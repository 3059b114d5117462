"""Account life cycle across the database and the identity provider; a background job completes interrupted changes."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from generated.events import GatewayEvent
from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import (
    MAIL_TEMPLATES,
    Account,
    AccountState,
    CodePurpose,
    Registration,
    VerificationCode,
)
from services.gateway.usecases import profiles, reauthentication
from services.gateway.usecases.ports import IdentityProvider, ImageStore, Repository
from services.gateway.usecases.token_revocations import MAX_TOKEN_LIFETIME
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal

log = logging.getLogger(__name__)

GRACE_PERIOD = timedelta(seconds=60)
"""Minimum age of an unfinished account before the background job completes it; longer than any request in progress."""

BATCH_SIZE = 50

_EMAIL_REJECTION_REASONS = (Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED)


class AccountRepository(Repository, Protocol):
    """Repository for creating, confirming and deleting accounts."""

    async def add_account(self, account: Account) -> None:
        """Store an account that is being created."""

    async def activate_account(self, account: Account, code: VerificationCode, *events: GatewayEvent) -> None:
        """Make a created account active, store its code and publish the events. Idempotent."""

    async def delete_unfinished_account(self, user_id: str) -> None:
        """Delete an account that is being created or deleted."""

    async def list_unfinished_accounts(self, before: datetime, size: int) -> list[Account]:
        """Return accounts created before the given time that are being created or deleted."""

    async def mark_deleting(self, user_id: str, at: datetime) -> Account | None:
        """Anonymise the active account, publish the deletion and mail its address. Returns the anonymised account.

        Also deletes its codes and revokes its access tokens, including those that are issued in the next hour.
        """

    async def delete_code(self, code: VerificationCode) -> None:
        """Delete a code."""


async def sign_up(
    repository: AccountRepository, identity: IdentityProvider, clock: Clock, registration: Registration
) -> Account:
    """Create an account and mail a verification code.

    The account is stored first, under the id that is then passed to the identity provider. If the provider's response
    is lost, the background job finds the provider's account by that id.

    Raises ApiError: TIME_ZONE_UNKNOWN, EMAIL_TAKEN, ACCOUNT_REFUSED.
    """
    account_rules.validate_email(registration.email)
    account_rules.validate_time_zone(registration.time_zone)
    created_at = clock()
    account = Account(
        id=generate_id(),
        state=AccountState.CREATING,
        email=account_rules.normalise_email(registration.email),
        email_verified=False,
        first_name=registration.first_name,
        last_name=registration.last_name,
        phone=registration.phone,
        birth_date=registration.birth_date,
        locale=registration.locale,
        time_zone=registration.time_zone,
        notif_token=registration.notif_token,
        role=registration.role,
        avatar=None,
        version=1,
        created_at=created_at,
        notif_token_at=None if registration.notif_token is None else created_at,
    )
    await repository.add_account(account)
    try:
        await identity.create(account.id, account.email, registration.password, registration.role)
    except ApiError as error:
        if error.reason in (Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED):
            await repository.delete_unfinished_account(account.id)
        raise
    await _activate_account(repository, clock, account)
    return replace(account, state=AccountState.ACTIVE)


async def _activate_account(repository: AccountRepository, clock: Clock, account: Account) -> None:
    plain_code, code = account_rules.generate_code(CodePurpose.EMAIL_VERIFICATION, account.id, clock())
    mail = EmailRequested(
        user_id=account.id,
        email=account.email,
        template=MAIL_TEMPLATES[CodePurpose.EMAIL_VERIFICATION],
        locale=account.locale,
        values={"code": plain_code},
    )
    await repository.activate_account(account, code, account_rules.build_user_registered_event(account), mail)


async def confirm_email(
    repository: AccountRepository, identity: IdentityProvider, clock: Clock, plain_code: str
) -> None:
    """Confirm an e-mail address by a mailed code, after sign-up or after a change of the address.

    The identity provider is updated while the code is locked. If that fails, the code remains valid.

    Raises ApiError: CODE_INVALID.
    """
    code = await repository.get_code(account_rules.hash_secret(plain_code), clock())
    account = None if code is None else await repository.get_account(code.user_id)
    if code is None or account is None or code.purpose is CodePurpose.PASSWORD_RESET:
        raise ApiError(Reason.CODE_INVALID)
    try:
        async with repository.use_code(code):
            if code.purpose is CodePurpose.EMAIL_VERIFICATION:
                await identity.mark_email_verified(account.id)
            else:
                await identity.change_email(account.id, code.new_email or "")
    except ApiError as error:
        if code.purpose is CodePurpose.EMAIL_VERIFICATION or error.reason not in _EMAIL_REJECTION_REASONS:
            raise
        await repository.delete_code(code)
        raise ApiError(Reason.CODE_INVALID) from error


async def delete_account(
    repository: AccountRepository,
    identity: IdentityProvider,
    image_store: ImageStore,
    clock: Clock,
    principal: Principal,
) -> None:
    """Delete an account and its personal data; the background job retries deletions that fail elsewhere.

    Raises ApiError: REAUTHENTICATION_REQUIRED, USER_NOT_FOUND.
    """
    reauthentication.require_recent_sign_in(clock, principal)
    anonymised = profiles.require_account(await repository.mark_deleting(principal.user_id, clock()))
    try:
        await _finish_account(repository, identity, image_store, clock, anonymised)
    except ApiError as error:
        log.warning("account deletion incomplete: %s; will be retried (user_id=%s)", error, anonymised.id)


async def finish_interrupted_accounts(
    repository: AccountRepository, identity: IdentityProvider, image_store: ImageStore, clock: Clock
) -> int:
    """Complete interrupted creations and deletions of accounts. Returns the number of accounts processed.

    Several instances may run it concurrently.
    """
    unfinished = await repository.list_unfinished_accounts(clock() - GRACE_PERIOD, BATCH_SIZE)
    for account in unfinished:
        await _finish_account(repository, identity, image_store, clock, account)
    return len(unfinished)


async def _finish_account(
    repository: AccountRepository, identity: IdentityProvider, image_store: ImageStore, clock: Clock, account: Account
) -> None:
    if account.state is AccountState.DELETING:
        # The identity provider may issue tokens until it has deleted the account, which may take several attempts.
        await repository.revoke_tokens(account.id, clock() + MAX_TOKEN_LIFETIME)
        await identity.delete(account.id)
        if account.avatar is not None:
            await image_store.delete(account.avatar)
        await repository.delete_unfinished_account(account.id)
    elif await identity.exists(account.id):
        if account.role is not None:
            await identity.set_role(account.id, account.role)
        await _activate_account(repository, clock, account)
    else:
        await repository.delete_unfinished_account(account.id)
