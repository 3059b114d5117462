"""Verification codes by mail.

Requests are answered before the account is queried, so that the response does not reveal whether it exists. The codes
are sent after a random delay, so that their load does not coincide with the response to the next request.
"""

from generated.proto.delivery.events.v1 import EmailRequested
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import MAIL_TEMPLATES, Account, CodePurpose, CodeRequest
from services.gateway.usecases import profiles, reauthentication
from services.gateway.usecases.ports import IdentityProvider, LoginRateLimiter, Repository, UnitOfWork
from services.runtime.core.clock import Clock
from services.runtime.core.principal import Principal

BATCH_SIZE = 50

MIN_DELAY_S = 0.3
"""Minimum delay of the sending of a requested code, in seconds."""

MAX_DELAY_S = 0.9
"""Maximum delay of the sending of a requested code, in seconds."""


async def request_code(repository: Repository, purpose: CodePurpose, email: str, user_id: str | None = None) -> None:
    """Store a request for `send_requested_codes`. For EMAIL_CHANGE, `user_id` is the account to be changed."""
    await repository.add_code_request(purpose, account_rules.normalise_email(email), user_id)


async def request_email_change(
    repository: Repository,
    identity: IdentityProvider,
    rate_limiter: LoginRateLimiter,
    clock: Clock,
    principal: Principal,
    email: str,
    password: str | None,
    client_address: str,
) -> None:
    """Store a request for a code that changes the address of the caller's account.

    Requires the password or a recent sign-in.

    Raises ApiError: ACCOUNT_REFUSED, USER_NOT_FOUND, REAUTHENTICATION_REQUIRED, PASSWORD_WRONG, TOO_MANY_REQUESTS.
    """
    account_rules.validate_email(email)
    account = await profiles.get_profile(repository, principal)
    if password is None:
        reauthentication.require_recent_sign_in(clock, principal)
    else:
        await reauthentication.check_password(identity, rate_limiter, account, password, client_address)
    await request_code(repository, CodePurpose.EMAIL_CHANGE, email, account.id)


async def send_requested_codes(repository: Repository, clock: Clock) -> int:
    """Mail a code for each request that matches an account. Returns the number of requests processed."""
    async with repository.unit_of_work() as unit:
        requests = await unit.claim_code_requests(BATCH_SIZE)
        for request in requests:
            async with unit.process_code_request(request):
                account = await _find_account(unit, request)
                # An unknown address takes the same queries, so that the load does not reveal whether it is known.
                user_id = request.email if account is None else account.id
                if await unit.check_code_limit(user_id, request.purpose, clock()) and account is not None:
                    await _send_code(unit, clock, request, account)
    return len(requests)


async def _find_account(unit: UnitOfWork, request: CodeRequest) -> Account | None:
    """Return the account that the request refers to; None if no code is to be sent."""
    account_of_email = await unit.get_account_by_email(request.email)
    if request.purpose is CodePurpose.EMAIL_CHANGE:
        return None if account_of_email is not None else await unit.get_account(request.user_id or "")
    if account_of_email is None:
        return None
    if request.purpose is CodePurpose.EMAIL_VERIFICATION and account_of_email.email_verified:
        return None
    return account_of_email


async def _send_code(unit: UnitOfWork, clock: Clock, request: CodeRequest, account: Account) -> None:
    new_email = request.email if request.purpose is CodePurpose.EMAIL_CHANGE else None
    plain_code, code = account_rules.generate_code(request.purpose, account.id, clock(), new_email)
    await unit.add_code(code)
    await unit.publish(
        EmailRequested(
            user_id=account.id,
            email=request.email,
            template=MAIL_TEMPLATES[request.purpose],
            locale=account.locale,
            values={"code": plain_code},
        )
    )
