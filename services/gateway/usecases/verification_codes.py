"""Verification codes by mail.

Requests are answered before the account is queried, so that the response does not reveal whether it exists. The codes
are sent after a random delay, so that their load does not coincide with the response to the next request.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested
from services.gateway.domain import accounts as account_rules
from services.gateway.domain import input_rules
from services.gateway.domain.accounts import (
    MAIL_TEMPLATES,
    MAX_CODE_REQUEST_ATTEMPTS,
    MAX_VALID_CODES,
    Account,
    CodePurpose,
    CodeRequest,
    VerificationCode,
)
from services.gateway.usecases import profiles, reauthentication
from services.gateway.usecases.ports import (
    AccountReader,
    IdentityProvider,
    LoginRateLimiter,
    Repository,
    UnitOfWork,
)
from services.runtime.core import backoff
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.core.repository import EntityReader

log = logging.getLogger(__name__)

BATCH_SIZE = 50

LEASE = timedelta(seconds=30)
"""Lease of claimed requests."""

INITIAL_RETRY_DELAY_S = 5
"""Delay before the second attempt at sending a requested code, in seconds; it doubles with each further attempt."""

MAX_RETRY_DELAY_S = 300
"""Maximum delay before an attempt at sending a requested code, in seconds."""

MIN_DELAY_S = 0.3
"""Minimum delay of the sending of a requested code, in seconds."""

MAX_DELAY_S = 0.9
"""Maximum delay of the sending of a requested code, in seconds."""


class CodeRepository(Protocol):
    """Verification codes in a unit of work."""

    async def add(self, code: VerificationCode) -> None:
        """Insert a code."""

    async def try_lock(self, code: VerificationCode) -> bool:
        """Lock the account's codes; return False if another transaction has locked them, or the code was deleted."""

    async def delete(self, code: VerificationCode) -> None:
        """Delete a code."""

    async def delete_all(self, user_id: str) -> None:
        """Delete all codes of the account."""

    async def delete_expired(self, user_id: str, now: datetime) -> None:
        """Delete the expired codes of the account."""

    async def count_valid(self, user_id: str, purpose: CodePurpose, now: datetime) -> int:
        """Return the number of unexpired codes of the account with the purpose."""


class CodeRequestRepository(Protocol):
    """Code requests in a unit of work."""

    async def add(self, purpose: CodePurpose, email: str, user_id: str | None) -> None:
        """Store a request with the current trace context."""

    def process(self, request: CodeRequest) -> AbstractAsyncContextManager[bool]:
        """Delete the request before the block; the value is False if it was deleted or claimed by another process."""


class CodeRequestQueue(Protocol):
    """Queue of due code requests."""

    async def claim(self, size: int, now: datetime, lease_until: datetime) -> Sequence[CodeRequest]:
        """Lease at most `size` due requests until `lease_until` and count one more attempt for each."""

    async def reschedule(self, request: CodeRequest, not_before: datetime) -> None:
        """Schedule the next attempt at a request, unless another process has claimed it since."""

    async def discard(self, request: CodeRequest) -> None:
        """Delete a request, unless another process has claimed it since."""


class VerificationUnitOfWork(UnitOfWork, Protocol):
    """One transaction over accounts, verification codes and code requests."""

    account_reader: AccountReader
    codes: CodeRepository
    code_requests: CodeRequestRepository


class VerificationRepository(Repository, Protocol):
    """Read access to accounts and verification codes, and the units of work that change them."""

    codes: EntityReader[bytes, VerificationCode]
    code_requests: CodeRequestQueue

    def unit_of_work(self) -> AbstractAsyncContextManager[VerificationUnitOfWork]:
        """Open a unit of work."""

    def limited_unit_of_work(self) -> AbstractAsyncContextManager[VerificationUnitOfWork]:
        """Open one of the few units of work that may call another system, which each hold a connection meanwhile."""


async def get_code(repository: VerificationRepository, clock: Clock, plain_code: str) -> VerificationCode:
    """Return an unexpired code of an active account.

    Raises ApiError: CODE_INVALID.
    """
    code = await repository.codes.get(account_rules.hash_secret(plain_code))
    if code is None or not code.is_valid(clock()) or await repository.accounts.get(code.user_id) is None:
        raise ApiError(Reason.CODE_INVALID)
    return code


@asynccontextmanager
async def use_code(repository: VerificationRepository, clock: Clock, code: VerificationCode) -> AsyncIterator[None]:
    """Use a code up and mark its address as the account's verified one, both at the end of the block.

    If the block raises, the code remains valid. A change of the address or the password also deletes the account's
    other codes and mails the old address; that of the password revokes the account's access tokens.

    Raises ApiError: CODE_INVALID before the block if the code was used, or another request uses one of the account.
    """
    async with repository.limited_unit_of_work() as unit:
        if not await unit.codes.try_lock(code):
            raise ApiError(Reason.CODE_INVALID)
        yield
        before = await unit.accounts.get_for_update(code.user_id)
        if before is None:
            raise ApiError(Reason.CODE_INVALID)
        after = code.apply(before)
        await unit.accounts.save(after)
        if code.purpose is CodePurpose.EMAIL_VERIFICATION:
            await unit.codes.delete(code)
        else:
            await unit.codes.delete_all(code.user_id)
        if code.purpose is CodePurpose.PASSWORD_RESET:
            await unit.revoke_tokens(code.user_id, clock())
        for event in account_rules.build_code_used_events(code, before, after):
            await unit.publish(event)


async def request_code(
    repository: VerificationRepository, purpose: CodePurpose, email: str, user_id: str | None = None
) -> None:
    """Store a request for `send_requested_codes`. For EMAIL_CHANGE, `user_id` is the account to be changed."""
    async with repository.unit_of_work() as unit:
        await unit.code_requests.add(purpose, account_rules.normalise_email(email), user_id)


async def request_email_change(
    repository: VerificationRepository,
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
    input_rules.validate_email(email)
    account = await profiles.get_profile(repository, principal)
    if password is None:
        reauthentication.require_recent_sign_in(clock, principal)
    else:
        await reauthentication.check_password(identity, rate_limiter, account, password, client_address)
    await request_code(repository, CodePurpose.EMAIL_CHANGE, email, account.id)


async def send_requested_codes(repository: VerificationRepository, clock: Clock) -> int:
    """Mail a code for each request that matches an account. Returns the number of requests processed.

    A request that fails is retried later and does not affect the others. It is discarded when its attempts are
    exhausted.
    """
    now = clock()
    requests = await repository.code_requests.claim(BATCH_SIZE, now, now + LEASE)
    for request in requests:
        try:
            await _process_request(repository, clock, request)
        except ApiError as error:
            log.warning("code request failed: %s; %s (id=%s)", error, _describe_next_step(request), request.id)
            await _reschedule_or_discard(repository.code_requests, clock, request)
        # Boundary of one request: an unexpected error must not hold the others.
        except Exception:
            log.exception("code request failed; %s (id=%s)", _describe_next_step(request), request.id)
            await _reschedule_or_discard(repository.code_requests, clock, request)
    return len(requests)


async def _process_request(repository: VerificationRepository, clock: Clock, request: CodeRequest) -> None:
    async with repository.unit_of_work() as unit, unit.code_requests.process(request) as is_leased:
        if not is_leased:
            return
        account = await _find_account(unit, request)
        # An unknown address takes the same queries, so that the load does not reveal whether it is known.
        user_id = request.email if account is None else account.id
        now = clock()
        await unit.codes.delete_expired(user_id, now)
        valid_codes = await unit.codes.count_valid(user_id, request.purpose, now)
        if account is not None and valid_codes < MAX_VALID_CODES:
            await _send_code(unit, clock, request, account)


def _is_last_attempt(request: CodeRequest) -> bool:
    return request.attempts >= MAX_CODE_REQUEST_ATTEMPTS


def _describe_next_step(request: CodeRequest) -> str:
    return "attempts exhausted, request discarded" if _is_last_attempt(request) else "will be retried"


async def _reschedule_or_discard(queue: CodeRequestQueue, clock: Clock, request: CodeRequest) -> None:
    if _is_last_attempt(request):
        await queue.discard(request)
        return
    delay_s = backoff.compute_exponential_delay_s(request.attempts, INITIAL_RETRY_DELAY_S, MAX_RETRY_DELAY_S)
    await queue.reschedule(request, clock() + timedelta(seconds=backoff.apply_jitter(delay_s)))


async def _find_account(unit: VerificationUnitOfWork, request: CodeRequest) -> Account | None:
    """Return the account that the request refers to; None if no code is to be sent."""
    account_of_email = await unit.account_reader.get_by_email(request.email)
    if request.purpose is CodePurpose.EMAIL_CHANGE:
        return None if account_of_email is not None else await unit.account_reader.get(request.user_id or "")
    if account_of_email is None:
        return None
    if request.purpose is CodePurpose.EMAIL_VERIFICATION and account_of_email.email_verified:
        return None
    return account_of_email


async def _send_code(unit: VerificationUnitOfWork, clock: Clock, request: CodeRequest, account: Account) -> None:
    new_email = request.email if request.purpose is CodePurpose.EMAIL_CHANGE else None
    plain_code, code = account_rules.generate_code(request.purpose, account.id, clock(), new_email)
    await unit.codes.add(code)
    await unit.publish(
        EmailRequested(
            user_id=account.id,
            email=request.email,
            template=MAIL_TEMPLATES[request.purpose],
            locale=account.locale,
            values={"code": plain_code},
        )
    )
