"""Signing in, and what a password protects."""

from generated.problems import Reason
from services.gateway import domain
from services.gateway.domain import Purpose
from services.gateway.usecases import profiles
from services.gateway.usecases.ports import Guesses, Identity, Store, Tokens
from services.runtime.clock import Clock
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal


async def sign_in(identity: Identity, guesses: Guesses, email: str, password: str, address: str) -> Tokens:
    """Refuses CREDENTIALS_INVALID and TOO_MANY_REQUESTS, alike with and without such an account."""
    async with guesses.attempt(domain.normal(email), address):
        return await identity.sign_in(email, password)


async def change_password(
    store: Store, identity: Identity, guesses: Guesses, who: Principal, old: str, new: str, address: str
) -> None:
    """Ends every session. Refuses PASSWORD_WRONG, TOO_MANY_REQUESTS and USER_NOT_FOUND."""
    account = await profiles.get(store, who)
    try:
        async with guesses.attempt(account.email, address):
            await identity.sign_in(account.email, old)
    except Refusal as refusal:
        if refusal.reason is Reason.CREDENTIALS_INVALID:
            raise Refusal(Reason.PASSWORD_WRONG) from refusal
        raise
    await identity.set_password(account.id, new)


async def reset_password(
    store: Store, identity: Identity, guesses: Guesses, clock: Clock, plain: str, password: str, address: str
) -> None:
    """Takes a mailed code, which proves the address too, and ends every session. Refuses CODE_INVALID."""
    async with guesses.attempt(None, address):
        code = await store.code(domain.digest(plain), clock())
        account = None if code is None else await store.account(code.user_id)
        if code is None or account is None or code.purpose is not Purpose.PASSWORD:
            raise Refusal(Reason.CODE_INVALID)
        await identity.set_password(account.id, password)
        if not await store.use_code(code):
            raise Refusal(Reason.CODE_INVALID)
