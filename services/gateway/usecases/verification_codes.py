"""Codes that are mailed. Who asks is answered before anybody looks whether there is an account, and so always alike."""

from opentelemetry.trace import SpanKind

from generated.proto.delivery.events.v1 import EmailRequested
from services.gateway.domain import accounts as account_rules
from services.gateway.domain.accounts import MAIL_TEMPLATES, Account, CodePurpose
from services.gateway.usecases.ports import CodeRequest, Repository, UnitOfWork
from services.runtime.core.clock import Clock
from services.runtime.telemetry import tracing

BATCH_SIZE = 50


async def request_code(repository: Repository, purpose: CodePurpose, email: str, user_id: str | None = None) -> None:
    """Keeps the request; `mail_codes` looks at it. An `user_id` says for whose account a new address is."""
    await repository.add_code_request(purpose, account_rules.normalise_email(email), user_id)


async def send_requested_codes(repository: Repository, clock: Clock) -> int:
    """Mails a code for each request that has an account. Returns how many it looked at."""
    async with repository.unit_of_work() as unit:
        requests = await unit.claim_code_requests(BATCH_SIZE)
        for request in requests:
            with tracing.start_span("mail code", SpanKind.CONSUMER, request.trace, link=True):
                account = await _find_account(unit, request)
                if account is not None:
                    await _send_code(unit, clock, request, account)
                await unit.complete_code_request(request.id)
    return len(requests)


async def _find_account(unit: UnitOfWork, request: CodeRequest) -> Account | None:
    """Whose account the request is about; None when there is nothing to do."""
    of_address = await unit.get_account_by_email(request.email)
    if request.purpose is CodePurpose.EMAIL_CHANGE:
        return None if of_address is not None else await unit.get_account(request.user_id or "")
    if of_address is None or (request.purpose is CodePurpose.EMAIL_VERIFICATION and of_address.email_verified):
        return None
    return of_address


async def _send_code(unit: UnitOfWork, clock: Clock, request: CodeRequest, account: Account) -> None:
    new_email = request.email if request.purpose is CodePurpose.EMAIL_CHANGE else None
    plain, code = account_rules.generate_code(request.purpose, account.id, clock(), new_email)
    if await unit.add_code(code, clock()):
        await unit.publish(
            EmailRequested(
                user_id=account.id,
                email=request.email,
                template=MAIL_TEMPLATES[request.purpose],
                locale=account.locale,
                values={"code": plain},
            )
        )
