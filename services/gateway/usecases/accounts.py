"""An account's life. It has two halves, the provider's and ours; whatever is cut off between them, a sweep finishes."""

import logging
from dataclasses import replace
from datetime import timedelta

from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested
from generated.rest.delivery.models import SignUpRequest
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import MAIL_TEMPLATES, Account, AccountState, CodePurpose
from services.gateway.usecases.ports import IdentityProvider, ImageStore, Repository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from services.runtime.rest.types import unset_to_none

log = logging.getLogger(__name__)

GRACE_PERIOD = timedelta(seconds=60)
"""How long an account may be half made; longer than any request to the provider goes on."""

BATCH_SIZE = 50


async def sign_up(
    repository: Repository, identity: IdentityProvider, clock: Clock, body: SignUpRequest, role: str | None
) -> Account:
    """Makes the account and mails a code. Refuses EMAIL_TAKEN.

    Ours is kept first, under an id that the provider is then given: what it may have made without telling us is found
    again.
    """
    account_rules.validate_time_zone(unset_to_none(body.time_zone))
    account = Account(
        id=new_id(),
        state=AccountState.CREATING,
        email=account_rules.normalise_email(body.email),
        email_verified=False,
        first_name=body.first_name,
        last_name=body.last_name,
        phone=unset_to_none(body.phone),
        birth_date=unset_to_none(body.birth_date),
        locale=unset_to_none(body.locale),
        time_zone=unset_to_none(body.time_zone),
        notif_token=unset_to_none(body.notif_token),
        role=role,
        avatar=None,
        version=1,
        created_at=clock(),
    )
    await repository.add_account(account)
    try:
        await identity.create(account.id, account.email, body.password, role)
    except ApiError as refusal:
        if refusal.reason in (Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED):
            await repository.delete_unfinished_account(account.id)
        raise
    await _activate_account(repository, clock, account)
    return replace(account, state=AccountState.ACTIVE)


async def _activate_account(repository: Repository, clock: Clock, account: Account) -> None:
    plain, code = account_rules.generate_code(CodePurpose.EMAIL_VERIFICATION, account.id, clock())
    mail = EmailRequested(
        user_id=account.id,
        email=account.email,
        template=MAIL_TEMPLATES[CodePurpose.EMAIL_VERIFICATION],
        locale=account.locale,
        values={"code": plain},
    )
    await repository.activate_account(account, code, account_rules.build_user_registered_event(account), mail)


async def confirm_email(repository: Repository, identity: IdentityProvider, clock: Clock, plain_code: str) -> None:
    """Takes a mailed code, after sign-up or for another address. Refuses CODE_INVALID.

    The provider comes first and may be told twice; the code is only used once it knows.
    """
    code = await repository.get_code(account_rules.hash_secret(plain_code), clock())
    account = None if code is None else await repository.get_account(code.user_id)
    if code is None or account is None or code.purpose is CodePurpose.PASSWORD_RESET:
        raise ApiError(Reason.CODE_INVALID)
    if code.purpose is CodePurpose.EMAIL_VERIFICATION:
        await identity.mark_email_verified(account.id)
    else:
        try:
            await identity.change_email(account.id, code.new_email or "")
        except ApiError as refusal:
            if refusal.reason not in (Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED):
                raise
            await repository.delete_code(code)
            raise ApiError(Reason.CODE_INVALID) from refusal
    if not await repository.use_code(code):
        raise ApiError(Reason.CODE_INVALID)


async def delete_account(
    repository: Repository, identity: IdentityProvider, image_store: ImageStore, clock: Clock, principal: Principal
) -> None:
    """Everything personal goes; what cannot go now is left to the sweep. Refuses USER_NOT_FOUND."""
    for _ in range(3):
        account = await repository.get_account(principal.user_id)
        if account is None:
            raise ApiError(Reason.USER_NOT_FOUND)
        left = account.anonymised()
        if await repository.mark_deleting(left, account_rules.build_user_deleted_event(left, clock())):
            break
    else:
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The profile is being changed.", retry_after=1)
    try:
        await _finish_account(repository, identity, image_store, clock, left)
    except ApiError as refusal:
        log.warning("the account %s is gone here, and will be at the identity provider: %s", left.id, refusal)


async def finish_interrupted_accounts(
    repository: Repository, identity: IdentityProvider, image_store: ImageStore, clock: Clock
) -> int:
    """Finishes what was cut off; several may do so at once. Returns how many accounts it looked at."""
    found = await repository.list_unfinished_accounts(clock() - GRACE_PERIOD, BATCH_SIZE)
    for account in found:
        await _finish_account(repository, identity, image_store, clock, account)
    return len(found)


async def _finish_account(
    repository: Repository, identity: IdentityProvider, image_store: ImageStore, clock: Clock, account: Account
) -> None:
    if account.state is AccountState.DELETING:
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
