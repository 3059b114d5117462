"""Three accounts to try things with: an admin, a customer and an approved deliverer."""

from contextlib import AsyncExitStack

import httpx

from generated.events import EVENTS, GatewayEvent
from generated.problems import Reason
from generated.rest.delivery.models import SignUpRequest, SignUpRole
from services.gateway.app import Settings, firebase
from services.gateway.store import AccountsStore
from services.gateway.usecases import accounts
from services.runtime.clock import now
from services.runtime.database import Database
from services.runtime.outbox import Outbox
from services.runtime.refusal import Refusal
from services.runtime.settings import DemoSettings

PASSWORD = "delivery-demo-1"  # noqa: S105 (known to all)
ACCOUNTS = {"admin": ("Grace", "Hopper"), "customer": ("Ada", "Byron"), "deliverer": ("Alan", "Turing")}
"""By role: first and last name."""


async def load(settings: Settings, _: DemoSettings) -> None:
    """Signs up those that are not there yet."""
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    store = AccountsStore(database, Outbox[GatewayEvent](EVENTS))
    async with database, httpx.AsyncClient(trust_env=False) as client, AsyncExitStack() as closing_last:
        identity = firebase(settings, client)
        closing_last.callback(identity.close)
        for role, (first_name, last_name) in ACCOUNTS.items():
            body = SignUpRequest(
                email=f"{role}@delivery.test",
                password=PASSWORD,
                first_name=first_name,
                last_name=last_name,
                role=SignUpRole.customer,
                notif_token=f"demo-{role}",
            )
            try:
                account = await accounts.sign_up(store, identity, now, body, role)
            except Refusal as refusal:
                if refusal.reason is not Reason.EMAIL_TAKEN:
                    raise
            else:
                await identity.confirm(account.id)
                await store.save(account.changed(email_verified=True))
