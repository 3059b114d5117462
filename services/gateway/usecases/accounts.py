"""An account's life. It has two halves, the provider's and ours; whatever is cut off between them, a sweep finishes."""

import logging
from dataclasses import replace
from datetime import timedelta

from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested
from generated.rest.delivery.models import SignUpRequest
from services.gateway import domain
from services.gateway.domain import TEMPLATE, Account, Purpose, State
from services.gateway.usecases.ports import Identity, Pictures, Store
from services.runtime.clock import Clock
from services.runtime.ids import new_id
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.rest.types import none_if_unset

log = logging.getLogger(__name__)

GRACE = timedelta(seconds=60)
"""How long an account may be half made; longer than any request to the provider goes on."""

BATCH = 50


async def sign_up(store: Store, identity: Identity, clock: Clock, body: SignUpRequest, role: str | None) -> Account:
    """Makes the account and mails a code. Refuses EMAIL_TAKEN.

    Ours is kept first, under an id that the provider is then given: what it may have made without telling us is found
    again.
    """
    domain.check_time_zone(none_if_unset(body.time_zone))
    account = Account(
        id=new_id(),
        state=State.MAKING,
        email=domain.normal(body.email),
        email_verified=False,
        first_name=body.first_name,
        last_name=body.last_name,
        phone=none_if_unset(body.phone),
        birth_date=none_if_unset(body.birth_date),
        locale=none_if_unset(body.locale),
        time_zone=none_if_unset(body.time_zone),
        notif_token=none_if_unset(body.notif_token),
        role=role,
        avatar=None,
        version=1,
        created_at=clock(),
    )
    await store.add(account)
    try:
        await identity.create(account.id, account.email, body.password, role)
    except Refusal as refusal:
        if refusal.reason in (Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED):
            await store.remove(account.id)
        raise
    await _activate(store, clock, account)
    return replace(account, state=State.ACTIVE)


async def _activate(store: Store, clock: Clock, account: Account) -> None:
    plain, code = domain.new_code(Purpose.CONFIRM, account.id, clock())
    mail = EmailRequested(
        user_id=account.id,
        email=account.email,
        template=TEMPLATE[Purpose.CONFIRM],
        locale=account.locale,
        values={"code": plain},
    )
    await store.activate(account, code, domain.registered(account), mail)


async def confirm(store: Store, identity: Identity, clock: Clock, plain: str) -> None:
    """Takes a mailed code, after sign-up or for another address. Refuses CODE_INVALID.

    The provider comes first and may be told twice; the code is only used once it knows.
    """
    code = await store.code(domain.digest(plain), clock())
    account = None if code is None else await store.account(code.user_id)
    if code is None or account is None or code.purpose is Purpose.PASSWORD:
        raise Refusal(Reason.CODE_INVALID)
    if code.purpose is Purpose.CONFIRM:
        await identity.confirm(account.id)
    else:
        try:
            await identity.change_email(account.id, code.new_email or "")
        except Refusal as refusal:
            if refusal.reason not in (Reason.EMAIL_TAKEN, Reason.ACCOUNT_REFUSED):
                raise
            await store.drop_code(code)
            raise Refusal(Reason.CODE_INVALID) from refusal
    if not await store.use_code(code):
        raise Refusal(Reason.CODE_INVALID)


async def delete(store: Store, identity: Identity, pictures: Pictures, clock: Clock, who: Principal) -> None:
    """Everything personal goes; what cannot go now is left to the sweep. Refuses USER_NOT_FOUND."""
    for _ in range(3):
        account = await store.account(who.user_id)
        if account is None:
            raise Refusal(Reason.USER_NOT_FOUND)
        left = account.left()
        if await store.leave(left, domain.deleted(left, clock())):
            break
    else:
        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "The profile is being changed.", retry_after=1)
    try:
        await _finish(store, identity, pictures, clock, left)
    except Refusal as refusal:
        log.warning("the account %s is gone here, and will be at the identity provider: %s", left.id, refusal)


async def sweep(store: Store, identity: Identity, pictures: Pictures, clock: Clock) -> int:
    """Finishes what was cut off; several may do so at once. Returns how many accounts it looked at."""
    found = await store.unfinished(clock() - GRACE, BATCH)
    for account in found:
        await _finish(store, identity, pictures, clock, account)
    return len(found)


async def _finish(store: Store, identity: Identity, pictures: Pictures, clock: Clock, account: Account) -> None:
    if account.state is State.LEAVING:
        await identity.delete(account.id)
        if account.avatar is not None:
            await pictures.remove(account.avatar)
        await store.remove(account.id)
    elif await identity.exists(account.id):
        if account.role is not None:
            await identity.set_role(account.id, account.role)
        await _activate(store, clock, account)
    else:
        await store.remove(account.id)
