"""Codes that are mailed. Who asks is answered before anybody looks whether there is an account, and so always alike."""

from opentelemetry.trace import SpanKind

from generated.proto.delivery.events.v1 import EmailRequested
from services.gateway import domain
from services.gateway.domain import TEMPLATE, Account, Purpose
from services.gateway.usecases.ports import Request, Store, Unit
from services.runtime import tracing
from services.runtime.clock import Clock

BATCH = 50


async def ask(store: Store, purpose: Purpose, email: str, user_id: str | None = None) -> None:
    """Keeps the request; `mail_codes` looks at it. An `user_id` says for whose account a new address is."""
    await store.ask(purpose, domain.normal(email), user_id)


async def mail_codes(store: Store, clock: Clock) -> int:
    """Mails a code for each request that has an account. Returns how many it looked at."""
    async with store.unit() as unit:
        requests = await unit.requests(BATCH)
        for request in requests:
            with tracing.span("mail code", SpanKind.CONSUMER, request.trace, link=True):
                account = await _account(unit, request)
                if account is not None:
                    await _mail(unit, clock, request, account)
                await unit.done(request.id)
    return len(requests)


async def _account(unit: Unit, request: Request) -> Account | None:
    """Whose account the request is about; None when there is nothing to do."""
    of_address = await unit.account_of(request.email)
    if request.purpose is Purpose.EMAIL:
        return None if of_address is not None else await unit.account(request.user_id or "")
    if of_address is None or (request.purpose is Purpose.CONFIRM and of_address.email_verified):
        return None
    return of_address


async def _mail(unit: Unit, clock: Clock, request: Request, account: Account) -> None:
    new_email = request.email if request.purpose is Purpose.EMAIL else None
    plain, code = domain.new_code(request.purpose, account.id, clock(), new_email)
    if await unit.add_code(code, clock()):
        await unit.publish(
            EmailRequested(
                user_id=account.id,
                email=request.email,
                template=TEMPLATE[request.purpose],
                locale=account.locale,
                values={"code": plain},
            )
        )
