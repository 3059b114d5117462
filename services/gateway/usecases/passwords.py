"""Sign-in, sign-out, and changes of passwords."""

from generated.problems import Reason
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import CodePurpose, SessionTokens
from services.gateway.usecases import profiles
from services.gateway.usecases.ports import IdentityProvider, LoginRateLimiter, Repository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal


async def sign_in(
    identity: IdentityProvider, rate_limiter: LoginRateLimiter, email: str, password: str, client_address: str
) -> SessionTokens:
    """Exchange e-mail address and password for tokens. Errors do not reveal whether the account exists.

    Raises ApiError: CREDENTIALS_INVALID, TOO_MANY_REQUESTS.
    """
    async with rate_limiter.limit(account_rules.normalise_email(email), client_address):
        return await identity.sign_in(email, password)


async def sign_out(identity: IdentityProvider, principal: Principal) -> None:
    """End every session of the account; a deleted account has none."""
    try:
        await identity.revoke_refresh_tokens(principal.user_id)
    except ApiError as error:
        if error.reason is not Reason.USER_NOT_FOUND:
            raise


async def change_password(
    repository: Repository,
    identity: IdentityProvider,
    rate_limiter: LoginRateLimiter,
    principal: Principal,
    old_password: str,
    new_password: str,
    client_address: str,
) -> None:
    """Change the password and end every session.

    Raises ApiError: USER_NOT_FOUND, PASSWORD_WRONG, TOO_MANY_REQUESTS.
    """
    account = await profiles.get_profile(repository, principal)
    try:
        async with rate_limiter.limit(account.email, client_address):
            await identity.sign_in(account.email, old_password)
    except ApiError as error:
        if error.reason is Reason.CREDENTIALS_INVALID:
            raise ApiError(Reason.PASSWORD_WRONG) from error
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
    """Set a new password by a mailed code, which also verifies the address, and end every session.

    Raises ApiError: CODE_INVALID, TOO_MANY_REQUESTS.
    """
    async with rate_limiter.limit(None, client_address):
        code = await repository.get_code(account_rules.hash_secret(plain_code), clock())
        account = None if code is None else await repository.get_account(code.user_id)
        if code is None or account is None or code.purpose is not CodePurpose.PASSWORD_RESET:
            raise ApiError(Reason.CODE_INVALID)
        async with repository.use_code(code):
            await identity.set_password(account.id, password)
