"""Rotation of the webhook secrets of partners and banks, while they send callbacks."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from generated.proto.delivery.partners.v1 import RotatePartnerSecretRequest
from services.orders import usecases
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.core.clock import now
from services.runtime.outbound.webhook_secrets import MAX_OLD_SECRETS, generate_secret
from tests.integration.fixtures.orders import ROOT, Orders
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.partners_rpc import ADMIN
from tests.integration.test_partners_ready_callbacks import build_callback
from tests.wait import wait_until_async


async def replace_secrets_under_callbacks(
    secret: str, rotate: Callable[[], Awaitable[str]], report: Callable[[str], Awaitable[object]]
) -> None:
    """Replace a secret several times while callbacks are sent, each signed with the next one of all secrets."""
    secrets, sent = [secret], 0

    async def send_callbacks() -> None:
        nonlocal sent
        for number in itertools.count():
            await report(secrets[number % len(secrets)])
            sent += 1

    async with asyncio.TaskGroup() as tasks:
        callbacks = tasks.create_task(send_callbacks())
        for _ in range(MAX_OLD_SECRETS):
            secrets.append(await rotate())
            target = sent + len(secrets) + 1
            await wait_until_async(lambda target=target: sent >= target)
        callbacks.cancel()
    assert len({*secrets}) == MAX_OLD_SECRETS + 1


async def test_callbacks_of_a_partner_are_accepted_during_rotations(
    partners: PartnersFixture, partners_rpc: PartnersRpc
) -> None:
    secret = generate_secret()
    partner = await partners.add_partner("https://north.example", secret)
    call = await partners.plan_order_call(partner)

    async def rotate() -> str:
        request = RotatePartnerSecretRequest(partner_id=partner.id)
        return (await partners_rpc.rotate_partner_secret(request, ADMIN)).webhook_secret

    async def report(current: str) -> None:
        await partners_rpc.handle_ready_callback(build_callback(partner.id, call.order_id, current))

    await replace_secrets_under_callbacks(secret, rotate, report)


async def test_callbacks_of_a_bank_are_accepted_during_rotations(orders: Orders) -> None:
    async def rotate() -> str:
        return (await usecases.rotate_bank_secret(orders.repository, orders.secret_box, now, ROOT, "visa")).secret

    async def report(current: str) -> None:
        orders.webhook_secret = current
        await orders.pay(await orders.place_order())

    await replace_secrets_under_callbacks(orders.webhook_secret, rotate, report)
