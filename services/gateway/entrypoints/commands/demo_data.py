"""Three accounts to try things with: an admin, a customer and an approved deliverer."""

from contextlib import AsyncExitStack

import httpx

from generated.events import EVENTS, GatewayEvent
from generated.problems import Reason
from generated.rest.delivery.models import SignUpRequest, SignUpRole
from services.gateway.adapters.postgres.accounts import PostgresAccountRepository
from services.gateway.app import Settings, build_firebase
from services.gateway.usecases import accounts
from services.runtime.config.settings import DemoSettings
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Database

DEMO_PASSWORD = "delivery-demo-1"  # noqa: S105 (known to all)
DEMO_ACCOUNTS = {"admin": ("Grace", "Hopper"), "customer": ("Ada", "Byron"), "deliverer": ("Alan", "Turing")}
"""By role: first and last name."""


async def load_demo_data(settings: Settings, _: DemoSettings) -> None:
    """Signs up those that are not there yet."""
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    store = PostgresAccountRepository(database, Outbox[GatewayEvent](EVENTS))
    async with database, httpx.AsyncClient(trust_env=False) as client, AsyncExitStack() as closing_last:
        identity = build_firebase(settings, client)
        closing_last.callback(identity.close)
        for role, (first_name, last_name) in DEMO_ACCOUNTS.items():
            body = SignUpRequest(
                email=f"{role}@delivery.test",
                password=DEMO_PASSWORD,
                first_name=first_name,
                last_name=last_name,
                role=SignUpRole.customer,
                notif_token=f"demo-{role}",
            )
            try:
                account = await accounts.sign_up(store, identity, now, body, role)
            except ApiError as refusal:
                if refusal.reason is not Reason.EMAIL_TAKEN:
                    raise
            else:
                await identity.mark_email_verified(account.id)
                await store.save_account(account.next_version(email_verified=True))
