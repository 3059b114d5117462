"""The first admin, whom no other admin can make."""

import sys
from contextlib import closing

import httpx

from generated.events import EVENTS, GatewayEvent
from services.gateway.adapters.postgres.accounts import PostgresAccountRepository
from services.gateway.app import Settings, build_firebase
from services.gateway.domain import accounts as account_rules
from services.gateway.usecases import profiles
from services.runtime.core.errors import ApiError
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Database


async def promote_to_admin(settings: Settings, email: str) -> None:
    """Gives the account of an address the role. Ends the process with a sentence when there is none."""
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    store = PostgresAccountRepository(database, Outbox[GatewayEvent](EVENTS))
    async with database, httpx.AsyncClient(trust_env=False) as client:
        account = await store.get_account_by_email(account_rules.normalise_email(email))
        if account is None:
            sys.exit(f"there is no account of {email}: sign up first")
        with closing(build_firebase(settings, client)) as identity:
            try:
                await profiles.set_role(store, identity, account.id, "admin")
            except ApiError as refusal:
                sys.exit(f"{email} is no admin yet: {refusal.detail}")
    print(f"{email} is an admin, from the next refresh of the session on")
