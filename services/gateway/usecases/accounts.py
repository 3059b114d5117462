"""Account life cycle across the database and the identity provider; a background job completes interrupted changes."""

import logging
from dataclasses import replace
from datetime import timedelta

from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested
from services.gateway.domain import accounts as account_rules
from services.gateway.domain import input_rules
from services.gateway.domain.accounts import (
    MAIL_TEMPLATES,
    Account,
    AccountState,
    CodePurpose,
    Registration,
)
from services.gateway.domain.passwords import validate_password
from services.gateway.usecases import profiles, reauthentication, verification_codes
from services.gateway.usecases.ports import IdentityProvider, ImageStore
from services.gateway.usecases.token_revocations import MAX_TOKEN_LIFETIME
from services.gateway.usecases.verification_codes import VerificationRepository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal

log = logging.getLogger(__name__)

GRACE_PERIOD = timedelta(seconds=60)
"""Minimum age of an unfinished account before the background job completes it; longer than any request in progress."""

BATCH_SIZE = 50

_EMAIL_REJECTION_REASONS = (Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED)


async def sign_up(
    repository: VerificationRepository, identity: IdentityProvider, clock: Clock, registration: Registration
) -> Account:
    """Create an account and mail a verification code.

    The account is stored first, under the id that is then passed to the identity provider. If the provider's response
    is lost, the background job finds the provider's account by that id.

    Raises ApiError: BIRTH_DATE_IN_FUTURE, TIME_ZONE_UNKNOWN, PASSWORD_COMMON, EMAIL_TAKEN, ACCOUNT_REFUSED.
    """
    input_rules.validate_email(registration.email)
    input_rules.validate_time_zone(registration.time_zone)
    validate_password(registration.password)
    created_at = clock()
    input_rules.validate_birth_date(registration.birth_date, created_at)
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
    async with repository.unit_of_work() as unit:
        await unit.accounts.add(account)
    try:
        await identity.create(account.id, account.email, registration.password, registration.role)
    except ApiError as error:
        if error.reason in _EMAIL_REJECTION_REASONS:
            await _delete_unfinished_account(repository, account)
        raise
    await activate_account(repository, clock, account)
    return replace(account, state=AccountState.ACTIVE)


async def activate_account(repository: VerificationRepository, clock: Clock, account: Account) -> None:
    """Make a created account active and mail a code to an unverified address, unless another process does."""
    plain_code, code = account_rules.generate_code(CodePurpose.EMAIL_VERIFICATION, account.id, clock())
    mail = EmailRequested(
        user_id=account.id,
        email=account.email,
        template=MAIL_TEMPLATES[CodePurpose.EMAIL_VERIFICATION],
        locale=account.locale,
        values={"code": plain_code},
    )
    async with repository.unit_of_work() as unit:
        if await unit.accounts.activate(account.id):
            if not account.email_verified:
                await unit.codes.add(code)
            await unit.publish(account_rules.build_user_registered_event(account))
            if not account.email_verified:
                await unit.publish(mail)


async def confirm_email(
    repository: VerificationRepository, identity: IdentityProvider, clock: Clock, plain_code: str
) -> None:
    """Confirm an e-mail address by a mailed code, after sign-up or after a change of the address.

    The identity provider is updated while the code is locked. If that fails, the code remains valid.

    Raises ApiError: CODE_INVALID.
    """
    code = await verification_codes.get_code(repository, clock, plain_code)
    if code.purpose is CodePurpose.PASSWORD_RESET:
        raise ApiError(Reason.CODE_INVALID)
    try:
        async with verification_codes.use_code(repository, clock, code):
            if code.purpose is CodePurpose.EMAIL_VERIFICATION:
                await identity.mark_email_verified(code.user_id)
            else:
                await identity.change_email(code.user_id, code.new_email or "")
    except ApiError as error:
        if code.purpose is CodePurpose.EMAIL_VERIFICATION or error.reason not in _EMAIL_REJECTION_REASONS:
            raise
        async with repository.unit_of_work() as unit:
            await unit.codes.delete(code)
        raise ApiError(Reason.CODE_INVALID) from error


async def delete_account(
    repository: VerificationRepository,
    identity: IdentityProvider,
    image_store: ImageStore,
    clock: Clock,
    principal: Principal,
) -> None:
    """Delete an account and its personal data; the background job retries deletions that fail elsewhere.

    Raises ApiError: REAUTHENTICATION_REQUIRED, USER_NOT_FOUND.
    """
    reauthentication.require_recent_sign_in(clock, principal)
    async with repository.unit_of_work() as unit:
        account = await profiles.lock_account(unit, principal.user_id)
        anonymised, now = account.anonymise(), clock()
        await unit.codes.delete_all(account.id)
        await unit.accounts.save(anonymised)
        await unit.publish(account_rules.build_user_deleted_event(anonymised, now))
        await unit.publish(account_rules.build_account_deleted_mail(account))
        # The identity provider may issue tokens until it has deleted the account.
        await unit.revoke_tokens(account.id, now + MAX_TOKEN_LIFETIME)
    try:
        await _finish_account(repository, identity, image_store, clock, anonymised)
    except ApiError as error:
        log.warning("account deletion incomplete: %s; will be retried (user_id=%s)", error, anonymised.id)


async def finish_interrupted_accounts(
    repository: VerificationRepository, identity: IdentityProvider, image_store: ImageStore, clock: Clock
) -> int:
    """Complete interrupted creations and deletions of accounts. Returns the number of completed accounts.

    An account that fails is retried in a later run, and does not affect the others. Several instances may run it
    concurrently.
    """
    unfinished = await repository.accounts.list_unfinished(clock() - GRACE_PERIOD, BATCH_SIZE)
    completed_count = 0
    for account in unfinished:
        try:
            await _finish_account(repository, identity, image_store, clock, account)
        except ApiError as error:
            log.warning("account not completed: %s; will be retried (user_id=%s)", error, account.id)
        # Boundary of one account: the identity provider may answer anything.
        except Exception:
            log.exception("account not completed; will be retried (user_id=%s)", account.id)
        else:
            completed_count += 1
    return completed_count


async def _finish_account(
    repository: VerificationRepository,
    identity: IdentityProvider,
    image_store: ImageStore,
    clock: Clock,
    account: Account,
) -> None:
    if account.state is AccountState.DELETING:
        # The identity provider may issue tokens until it has deleted the account, which may take several attempts.
        async with repository.unit_of_work() as unit:
            await unit.revoke_tokens(account.id, clock() + MAX_TOKEN_LIFETIME)
        await identity.delete(account.id)
        if account.avatar is not None:
            await image_store.delete(account.avatar)
        await _delete_unfinished_account(repository, account)
    elif await identity.exists(account.id):
        if account.role is not None:
            await identity.set_role(account.id, account.role)
        await activate_account(repository, clock, account)
    else:
        await _delete_unfinished_account(repository, account)


async def _delete_unfinished_account(repository: VerificationRepository, account: Account) -> None:
    async with repository.unit_of_work() as unit:
        await unit.accounts.delete_unfinished(account.id)
