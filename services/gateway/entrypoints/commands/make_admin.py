"""Promotion to admin on the command line, for the first admin: the API requires another admin."""

import sys

from services.gateway.domain import accounts as account_rules
from services.gateway.usecases import profiles
from services.gateway.usecases.ports import IdentityProvider, Repository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError


async def promote_to_admin(repository: Repository, identity: IdentityProvider, clock: Clock, email: str) -> None:
    """Assign the admin role to the account with the e-mail address. Exits with an error message on failure."""
    account = await repository.accounts.get_by_email(account_rules.normalise_email(email))
    if account is None:
        sys.exit(f"no account with e-mail address {email}; sign up first")
    try:
        await profiles.set_role(repository, identity, clock, account.id, "admin")
    except ApiError as error:
        sys.exit(f"assigning the admin role to {email} failed: {error.detail}")
    print(f"{email} is an admin; earlier access tokens are revoked")
