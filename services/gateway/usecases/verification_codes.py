"""Verification codes by mail.

Requests are answered before the account is queried, so that the response does not reveal whether it exists. The codes
are sent after a random delay, so that their load does not coincide with the response to the next request.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from generated.events import GatewayEvent
from generated.proto.delivery.events.v1 import EmailRequested
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import MAIL_TEMPLATES, Account, CodePurpose, CodeRequest, VerificationCode
from services.gateway.usecases import profiles, reauthentication
from services.gateway.usecases.ports import AccountReader, IdentityProvider, LoginRateLimiter, Repository
from services.runtime.core.clock import Clock
from services.runtime.core.principal import Principal

BATCH_SIZE = 50

MIN_DELAY_S = 0.3
"""Minimum delay of the sending of a requested code, in seconds."""

MAX_DELAY_S = 0.9
"""Maximum delay of the sending of a requested code, in seconds."""


class CodeRequestUnitOfWork(AccountReader, Protocol):
    """One transaction that processes code requests."""

    async def claim_code_requests(self, size: int) -> Sequence[CodeRequest]:
        """Return and lock the oldest requests that no other transaction has locked."""

    async def check_code_limit(self, user_id: str, purpose: CodePurpose, now: datetime) -> bool:
        """Delete expired codes of the account. Returns False if MAX_VALID_CODES of the purpose are valid."""

    async def add_code(self, code: VerificationCode) -> None:
        """Store a code."""

    async def publish(self, event: GatewayEvent) -> None:
        """Publish the event when the transaction has committed."""

    def process_code_request(self, request: CodeRequest) -> AbstractAsyncContextManager[None]:
        """Delete the request at the end of the block."""


class CodeRequestRepository(Repository, Protocol):
    """Accounts, verification codes and code requests."""

    async def add_code_request(self, purpose: CodePurpose, email: str, user_id: str | None) -> None:
        """Store a code request with the current trace context."""

    def unit_of_work(self) -> AbstractAsyncContextManager[CodeRequestUnitOfWork]:
        """Commit at the end of the block, roll back if it raises."""


async def request_code(
    repository: CodeRequestRepository, purpose: CodePurpose, email: str, user_id: str | None = None
) -> None:
    """Store a request for `send_requested_codes`. For EMAIL_CHANGE, `user_id` is the account to be changed."""
    await repository.add_code_request(purpose, account_rules.normalise_email(email), user_id)


async def request_email_change(
    repository: CodeRequestRepository,
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


async def send_requested_codes(repository: CodeRequestRepository, clock: Clock) -> int:
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


async def _find_account(unit: CodeRequestUnitOfWork, request: CodeRequest) -> Account | None:
    """Return the account that the request refers to; None if no code is to be sent."""
    account_of_email = await unit.get_account_by_email(request.email)
    if request.purpose is CodePurpose.EMAIL_CHANGE:
        return None if account_of_email is not None else await unit.get_account(request.user_id or "")
    if account_of_email is None:
        return None
    if request.purpose is CodePurpose.EMAIL_VERIFICATION and account_of_email.email_verified:
        return None
    return account_of_email


async def _send_code(unit: CodeRequestUnitOfWork, clock: Clock, request: CodeRequest, account: Account) -> None:
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
