"""The first admin, whom no other admin can make."""

import sys
from contextlib import closing

import httpx

from generated.events import EVENTS, GatewayEvent
from services.gateway import domain
from services.gateway.app import Settings, firebase
from services.gateway.store import AccountsStore
from services.gateway.usecases import profiles
from services.runtime.database import Database
from services.runtime.outbox import Outbox
from services.runtime.refusal import Refusal


async def make_admin(settings: Settings, email: str) -> None:
    """Gives the account of an address the role. Ends the process with a sentence when there is none."""
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    store = AccountsStore(database, Outbox[GatewayEvent](EVENTS))
    async with database, httpx.AsyncClient(trust_env=False) as client:
        account = await store.account_of(domain.normal(email))
        if account is None:
            sys.exit(f"there is no account of {email}: sign up first")
        with closing(firebase(settings, client)) as identity:
            try:
                await profiles.set_role(store, identity, account.id, "admin")
            except Refusal as refusal:
                sys.exit(f"{email} is no admin yet: {refusal.detail}")
    print(f"{email} is an admin, from the next refresh of the session on")
