"""Sign-in, sign-out, and changes of passwords."""

from generated.problems import Reason
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import CodePurpose, SessionTokens
from services.gateway.domain.passwords import validate_password
from services.gateway.usecases import profiles, reauthentication, verification_codes
from services.gateway.usecases.ports import IdentityProvider, LoginRateLimiter, Repository
from services.gateway.usecases.token_revocations import RevokedTokens
from services.gateway.usecases.verification_codes import VerificationRepository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal


async def sign_in(
    identity: IdentityProvider,
    rate_limiter: LoginRateLimiter,
    revoked_tokens: RevokedTokens,
    email: str,
    password: str,
    client_address: str,
) -> SessionTokens:
    """Exchange e-mail address and password for tokens. Errors do not reveal whether the account exists.

    Raises ApiError: CREDENTIALS_INVALID, TOO_MANY_REQUESTS.
    """
    async with rate_limiter.limit(account_rules.normalise_email(email), client_address):
        tokens = await identity.sign_in(email, password)
    return await revoked_tokens.replace_revoked(identity, tokens)


async def refresh_session(
    identity: IdentityProvider, revoked_tokens: RevokedTokens, refresh_token: str
) -> SessionTokens:
    """Exchange a refresh token for new tokens.

    Raises ApiError: REFRESH_TOKEN_INVALID.
    """
    tokens = await identity.refresh_session(refresh_token)
    return await revoked_tokens.replace_revoked(identity, tokens)


async def sign_out(repository: Repository, identity: IdentityProvider, clock: Clock, principal: Principal) -> None:
    """End every session of the account, and invalidate its codes; a deleted account has none.

    Access tokens are revoked last, since a session can be refreshed until it has ended.
    """
    try:
        await identity.revoke_refresh_tokens(principal.user_id)
    except ApiError as error:
        if error.reason is not Reason.USER_NOT_FOUND:
            raise
    async with repository.unit_of_work() as unit:
        await unit.invalidate_codes(principal.user_id)
        await unit.revoke_tokens(principal.user_id, clock())


async def change_password(
    repository: Repository,
    identity: IdentityProvider,
    rate_limiter: LoginRateLimiter,
    clock: Clock,
    principal: Principal,
    old_password: str,
    new_password: str,
    client_address: str,
) -> None:
    """Change the password, end every session, invalidate codes and mail the account's address.

    The database is changed first, since an interrupted change cannot be repeated with the old password.

    Raises ApiError: USER_NOT_FOUND, PASSWORD_COMMON, PASSWORD_WRONG, TOO_MANY_REQUESTS.
    """
    validate_password(new_password)
    account = await profiles.get_profile(repository, principal)
    await reauthentication.check_password(identity, rate_limiter, account, old_password, client_address)
    async with repository.unit_of_work() as unit:
        await unit.invalidate_codes(account.id)
        await unit.revoke_tokens(account.id, clock())
        await unit.publish(account_rules.build_password_changed_mail(account))
    try:
        await identity.set_password(account.id, new_password)
    finally:
        # Until the change, which may have succeeded without a response, tokens could be issued to earlier sessions.
        async with repository.unit_of_work() as unit:
            await unit.revoke_tokens(account.id, clock())


async def reset_password(
    repository: VerificationRepository,
    identity: IdentityProvider,
    rate_limiter: LoginRateLimiter,
    clock: Clock,
    plain_code: str,
    password: str,
    client_address: str,
) -> None:
    """Set a new password by a mailed code, which also verifies the address, and do the same as `change_password`.

    Raises ApiError: PASSWORD_COMMON, CODE_INVALID, TOO_MANY_REQUESTS.
    """
    validate_password(password)
    async with rate_limiter.limit(None, client_address):
        code = await verification_codes.get_code(repository, clock, plain_code)
        if code.purpose is not CodePurpose.PASSWORD_RESET:
            raise ApiError(Reason.CODE_INVALID)
        # The code remains valid, and the reset can be repeated, if one of the next steps fails.
        async with repository.unit_of_work() as unit:
            await unit.invalidate_codes(code.user_id, (CodePurpose.EMAIL_CHANGE,))
            await unit.revoke_tokens(code.user_id, clock())
        async with verification_codes.use_code(repository, clock, code):
            await identity.set_password(code.user_id, password)
