"""Re-authentication of the caller before changes with which a stolen access token would take over the account."""

from datetime import timedelta

from generated.problems import Reason
from services.gateway.domain.accounts import Account
from services.gateway.usecases.ports import IdentityProvider, LoginRateLimiter
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, ReauthenticationRequiredError
from services.runtime.core.principal import Principal

MAX_SIGN_IN_AGE = timedelta(minutes=5)
"""Maximum age of a sign-in that counts as recent."""


async def check_password(
    identity: IdentityProvider, rate_limiter: LoginRateLimiter, account: Account, password: str, client_address: str
) -> None:
    """Check the password of an account.

    Raises ApiError: PASSWORD_WRONG, TOO_MANY_REQUESTS.
    """
    try:
        async with rate_limiter.limit(account.email, client_address):
            await identity.sign_in(account.email, password)
    except ApiError as error:
        if error.reason is Reason.CREDENTIALS_INVALID:
            raise ApiError(Reason.PASSWORD_WRONG) from error
        raise


def require_recent_sign_in(clock: Clock, principal: Principal) -> None:
    """Require that the session began at most MAX_SIGN_IN_AGE ago.

    Raises ReauthenticationRequiredError.
    """
    if clock() - principal.authenticated_at > MAX_SIGN_IN_AGE:
        raise ReauthenticationRequiredError(MAX_SIGN_IN_AGE)
