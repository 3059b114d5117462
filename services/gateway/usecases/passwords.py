"""Signing in, and what a password protects."""

from generated.problems import Reason
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import CodePurpose
from services.gateway.usecases import profiles
from services.gateway.usecases.ports import IdentityProvider, LoginRateLimiter, Repository, SessionTokens
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal


async def sign_in(
    identity: IdentityProvider, rate_limiter: LoginRateLimiter, email: str, password: str, client_address: str
) -> SessionTokens:
    """Refuses CREDENTIALS_INVALID and TOO_MANY_REQUESTS, alike with and without such an account."""
    async with rate_limiter.limit(account_rules.normalise_email(email), client_address):
        return await identity.sign_in(email, password)


async def change_password(
    repository: Repository,
    identity: IdentityProvider,
    rate_limiter: LoginRateLimiter,
    principal: Principal,
    old_password: str,
    new_password: str,
    client_address: str,
) -> None:
    """Ends every session. Refuses PASSWORD_WRONG, TOO_MANY_REQUESTS and USER_NOT_FOUND."""
    account = await profiles.get_profile(repository, principal)
    try:
        async with rate_limiter.limit(account.email, client_address):
            await identity.sign_in(account.email, old_password)
    except ApiError as refusal:
        if refusal.reason is Reason.CREDENTIALS_INVALID:
            raise ApiError(Reason.PASSWORD_WRONG) from refusal
        raise
    await identity.set_password(account.id, new_password)


async def reset_password(
    repository: Repository,
    identity: IdentityProvider,
    rate_limiter: LoginRateLimiter,
    clock: Clock,
    plain_code: str,
    password: str,
    client_address: str,
) -> None:
    """Takes a mailed code, which proves the address too, and ends every session. Refuses CODE_INVALID."""
    async with rate_limiter.limit(None, client_address):
        code = await repository.get_code(account_rules.hash_secret(plain_code), clock())
        account = None if code is None else await repository.get_account(code.user_id)
        if code is None or account is None or code.purpose is not CodePurpose.PASSWORD_RESET:
            raise ApiError(Reason.CODE_INVALID)
        await identity.set_password(account.id, password)
        if not await repository.use_code(code):
            raise ApiError(Reason.CODE_INVALID)
